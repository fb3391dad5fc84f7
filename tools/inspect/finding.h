// One problem of a cache, with its remedy.
#ifndef VITRINE_TOOLS_INSPECT_FINDING_H_
#define VITRINE_TOOLS_INSPECT_FINDING_H_

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"

namespace vitrine {

/// How to fix a problem. Only the first three are automatic.
enum class Remedy : std::uint8_t {
  kRemake,   ///< set the file aside, if it exists, and make it again: an extraction fills the gap with the same bytes
  kRestore,  ///< only track.json is wrong; it is rebuilt from the copies in its shards
  kRelist,   ///< only shards.json is wrong; it is rebuilt from the files
  kCopy,     ///< index.h5, plan.json, classes.json: cannot be rebuilt, only copied from another copy of the cache
  kMove,     ///< an intact file in the wrong place: it belongs to another cache or directory
  kImages,   ///< the cache is intact; the folder of images is not the one that it was made from
  kRetry,    ///< could not be opened or read; the contents may be intact
  kNewer,    ///< written by a newer version of vitrine
};

/// The remedy for an Error of `kind`: `damaged` if bytes were read and are wrong, `misplaced` if the file is intact but
/// does not belong there.
Remedy remedy_of(ErrorKind kind, Remedy damaged, Remedy misplaced = Remedy::kRetry);

/// Machine-readable name: "remake", "restore", "relist", "copy", "move", "images", "retry", "newer".
std::string_view remedy_name(Remedy remedy);
/// Instructions for the user, without a full stop.
std::string_view remedy_words(Remedy remedy);

struct Finding {
  std::string file;         ///< relative to the cache's directory, with '/'
  std::string dataset;      ///< empty: the file as a whole
  std::int64_t group = -1;  ///< counted from the file's first group; -1: not specific to a group
  std::string what;         ///< what is wrong, without file name and remedy
  Remedy remedy = Remedy::kRemake;

  auto operator<=>(const Finding&) const = default;
};

/// 0 for no findings; 1 if something is damaged, missing or misplaced; else kIo's if something could not be read, else
/// kNewer's.
int exit_code(const std::vector<Finding>& findings);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_FINDING_H_
