// Files that are not used, and why: files that a scan leaves out and images that fail later. The list is stored beside
// the index and in a run's directory.
#ifndef VITRINE_COMMON_IMAGE_LEFT_OUT_H_
#define VITRINE_COMMON_IMAGE_LEFT_OUT_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace vitrine {

/// Why something is left out. Kinds before kMissing come from scanning a folder, later ones from images of the index
/// that cannot be read any more.
enum class LeftOutKind : std::uint8_t {
  kDamaged,         ///< starts like an image but cannot be decoded, or has no pixels or too many
  kNotAPicture,     ///< does not start like a JPEG, PNG or WebP file
  kSidecar,         ///< not an image, with the name of a known sidecar file: Thumbs.db, *.xmp, *.json
  kHidden,          ///< its name begins with a dot: .x.jpg, ._x.jpg, .git
  kJunkFolder,      ///< a folder created by a system or program: __MACOSX, @eaDir, lost+found
  kDanglingLink,    ///< a broken symbolic link
  kLinkLoop,        ///< a link to a folder that contains it
  kSpecialFile,     ///< a socket or device
  kUnreadable,      ///< could not be read
  kTooLarge,        ///< more bytes than an image may have
  kBadName,         ///< its path is not UTF-8
  kOutsideClasses,  ///< a file beside the class folders
  kEmptyClass,      ///< a class folder without a readable image
  kNotInIndex,      ///< left out when the index was made; stays so although it is readable now
  kMissing,         ///< in the index but not in the folder
  kChanged,         ///< in the index but with different contents
  kFailedLater      ///< in the index but could not be read or decoded when needed
};

/// "damaged", "not a picture", ...
const char* name_of(LeftOutKind kind);

struct LeftOut {
  std::string id;      ///< path relative to the folder, as in ImageEntry::id; folders end with '/'
  std::string reason;  ///< what is wrong, without the path: "is an empty file"
  LeftOutKind kind = LeftOutKind::kDamaged;
  bool operator==(const LeftOut&) const = default;
};

/// "3 damaged, 12 sidecar", in the order of the kinds; empty for an empty list.
std::string counts_by_kind(std::span<const LeftOut> list);

inline constexpr const char* kLeftOutFile = "left_out.tsv";

/// Reads a list of kind, path and reason. A missing file is an empty list; lines with unknown kinds are ignored. Throws
/// Error if it cannot be read.
std::vector<LeftOut> read_left_out(const std::filesystem::path& path);

/// Publishes the list, sorted by kind and path, without duplicates: a heading "kind, path, reason" and one line per
/// entry, tab-separated. With an empty list no new file is created; a file with the same entries is left untouched.
/// Existing entries are kept if `keep` returns true for them (none without it); it is called while the file is locked,
/// so that entries that other processes add are not lost. Tabs, line ends and backslashes are written as \t, \n, \r
/// and \\. Throws Error.
void write_left_out(const std::filesystem::path& path, std::vector<LeftOut> list,
                    const std::function<bool(const LeftOut&)>& keep = {});

/// Adds entries that the list does not have (by kind and path). Concurrent additions by several processes are all kept,
/// and none is joined to a part of a line that a killed process left. Throws Error.
void add_left_out(const std::filesystem::path& path, std::span<const LeftOut> list);

/// add_left_out() again and again: after the first time it reads only what was added since. Not thread-safe.
class LeftOutAppender {
 public:
  explicit LeftOutAppender(std::filesystem::path path) : path_(std::move(path)) {}
  void add(std::span<const LeftOut> list);

 private:
  std::filesystem::path path_;
  std::set<std::pair<LeftOutKind, std::string>> there_;  // the list's entries so far
  std::uint64_t read_ = 0;                               // bytes of the file that were read
  std::pair<std::uint64_t, std::uint64_t> file_{};       // device and number: a rewritten list is another file
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_LEFT_OUT_H_
