// What is wrong with a cache, one thing at a time.
#ifndef VITRINE_COMMON_INSPECT_FINDING_H_
#define VITRINE_COMMON_INSPECT_FINDING_H_

#include <compare>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace vitrine {

/// What helps. Everything but the first three is left to a person.
enum class Remedy : std::uint8_t {
  kRemake,   ///< remove the file, if it is there, and make it again: an extraction fills the gap with the same bytes
  kRestore,  ///< only track.json is wrong; it is made again from the copies in its shards
  kRelist,   ///< only shards.json is wrong; it is made again from the files
  kCopy,     ///< index.h5, plan.json: nothing can make them again for this cache, but another copy of it has them
  kMove,     ///< a whole file in the wrong place: it belongs to another cache or directory
  kImages,   ///< the cache is whole; the folder of images is not the one that it was made from
};

/// A word for programs: "remake", "restore", "relist", "copy", "move", "images".
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

/// An Error's words as Finding::what: without the leading names of `file`, dataset and group and without the remedy
/// that follows the last semicolon.
std::string problem_words(const std::string& error, const std::filesystem::path& file);

}  // namespace vitrine

#endif  // VITRINE_COMMON_INSPECT_FINDING_H_
