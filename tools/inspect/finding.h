// What is wrong with a cache, one thing at a time.
#ifndef VITRINE_TOOLS_INSPECT_FINDING_H_
#define VITRINE_TOOLS_INSPECT_FINDING_H_

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"

namespace vitrine {

/// What helps. Everything but the first three is left to a person.
enum class Remedy : std::uint8_t {
  kRemake,   ///< set the file aside, if it is there, and make it again: an extraction fills the gap with the same bytes
  kRestore,  ///< only track.json is wrong; it is made again from the copies in its shards
  kRelist,   ///< only shards.json is wrong; it is made again from the files
  kCopy,     ///< index.h5, plan.json: nothing can make them again for this cache, but another copy of it has them
  kMove,     ///< a whole file in the wrong place: it belongs to another cache or directory
  kImages,   ///< the cache is whole; the folder of images is not the one that it was made from
  kRetry,    ///< could not be opened or read, which says nothing about what it holds
  kNewer,    ///< written by a version of vitrine that knows more than this one
};

/// What helps against an Error of `kind`: `damaged` where bytes were read and are wrong, `misplaced` where they are
/// right and do not belong there.
Remedy remedy_of(ErrorKind kind, Remedy damaged, Remedy misplaced = Remedy::kRetry);

/// A word for programs: "remake", "restore", "relist", "copy", "move", "images", "retry", "newer".
std::string_view remedy_name(Remedy remedy);
/// What to do, for people, without a full stop.
std::string_view remedy_words(Remedy remedy);

struct Finding {
  std::string file;         ///< below the cache's directory, with '/'
  std::string dataset;      ///< empty: the file as a whole
  std::int64_t group = -1;  ///< counted from the file's first group; -1: not a matter of one group
  std::string what;         ///< what is wrong, without the file's name and without a remedy
  Remedy remedy = Remedy::kRemake;

  auto operator<=>(const Finding&) const = default;
};

/// 0 for none; 1 when something is damaged, missing or in a wrong place; else that of kIo when something could not be
/// read, else that of kNewer.
int exit_code(const std::vector<Finding>& findings);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_FINDING_H_
