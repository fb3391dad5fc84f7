// What is not learnt from, and why: files that a scan leaves out, and pictures that fail later. A list of them stands
// in a file beside the index, and in a run's directory.
#ifndef VITRINE_COMMON_IMAGE_LEFT_OUT_H_
#define VITRINE_COMMON_IMAGE_LEFT_OUT_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace vitrine {

/// Why something is left out. The first ones are found when a folder is scanned; those from kMissing on when a picture
/// that the index has cannot be had any more.
enum class LeftOutKind : std::uint8_t {
  kDamaged,         ///< begins as a picture, but cannot be decoded, or has no pixels or too many
  kNotAPicture,     ///< is neither JPEG nor PNG nor WebP by its first bytes
  kSidecar,         ///< as kNotAPicture, with a name that stands for data beside pictures: Thumbs.db, *.xmp, *.json
  kHidden,          ///< its name begins with a dot: .x.jpg, ._x.jpg, .git
  kJunkFolder,      ///< a folder that systems and programs leave behind: __MACOSX, @eaDir, lost+found
  kDanglingLink,    ///< a symbolic link to nothing
  kLinkLoop,        ///< a link to a folder that it lies in
  kSpecialFile,     ///< a socket, a device
  kUnreadable,      ///< the system refused or failed to read it
  kTooLarge,        ///< a file of more bytes than a picture may have
  kBadName,         ///< its path is not UTF-8
  kOutsideClasses,  ///< a file beside class folders
  kEmptyClass,      ///< a class folder without a readable picture
  kNotInIndex,      ///< left out when the index was made, and so still, although it can be read now
  kMissing,         ///< in the index, but not in the folder
  kChanged,         ///< in the index, but with other contents
  kFailedLater      ///< in the index, but could not be read or decoded when it was needed
};

/// "damaged", "not a picture", ...
const char* name_of(LeftOutKind kind);

struct LeftOut {
  std::string id;  ///< path below the folder, as in ImageEntry::id; a folder's ends with '/'
  std::string reason;
  LeftOutKind kind = LeftOutKind::kDamaged;
  bool operator==(const LeftOut&) const = default;
};

/// "3 damaged, 12 sidecar", in the order of the kinds; empty when nothing is left out.
std::string counts_by_kind(std::span<const LeftOut> list);

inline constexpr const char* kLeftOutFile = "left_out.tsv";

/// Reads a list: the lines of kind, path and reason. A missing file is an empty list; lines of unknown kinds are passed
/// over. Throws Error when it cannot be read.
std::vector<LeftOut> read_left_out(const std::filesystem::path& path);

/// Publishes the list, sorted by kind and path, each entry once: a heading "kind, path, reason" and a line an entry,
/// with tabs between them. Without entries nothing is written where no file is; a file that has the same entries stays
/// as it is. Of the entries that are there those stay for which `keep` is true (none without it): `keep` is asked while
/// no other process adds to the file, so that none of its lines is lost. Tabs and line ends inside of a field become
/// spaces. Throws Error.
void write_left_out(const std::filesystem::path& path, std::vector<LeftOut> list,
                    const std::function<bool(const LeftOut&)>& keep = {});

/// Adds entries to the list, without those that it has (by kind and path). Processes that add at the same time do not
/// lose each other's entries. Throws Error.
void add_left_out(const std::filesystem::path& path, std::span<const LeftOut> list);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_LEFT_OUT_H_
