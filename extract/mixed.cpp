#include "extract/mixed.h"

#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"

namespace vitrine {
namespace {

constexpr const char* kArithmetic[] = {"device", "cpu_capability", "libtorch", "micro_batch"};

std::string word(const TrackInfo& track, const char* key) {
  const auto found = track.provenance.find(key);
  return found == track.provenance.end() ? "" : found->second;
}

}  // namespace

std::map<std::string, std::string> arithmetic_of(const TrackInfo& track) {
  std::map<std::string, std::string> out;
  for (const char* key : kArithmetic) out[key] = word(track, key);
  return out;
}

TrackInfo with_arithmetic_of_cache(const std::filesystem::path& cache, TrackInfo track, bool allow_mixed) {
  const std::filesystem::path path = cache / track.directory() / "track.json";
  if (!path_exists(path)) return track;
  const TrackInfo there = TrackInfo::from_json(read_file(path), path.string());
  for (const char* key : kArithmetic) {
    if (word(there, key) == word(track, key)) continue;
    if (!allow_mixed)
      fail(path.string(), ": was made with ", key, " \"", word(there, key), "\", this run has \"", word(track, key),
           "\", and its values would differ in the last digits; go on where it was begun, or set allow_mixed = true to "
           "mix the two and have each shard say what made it");
    if (there.provenance.contains(key))
      track.provenance[key] = word(there, key);
    else
      track.provenance.erase(key);
  }
  return track;
}

}  // namespace vitrine
