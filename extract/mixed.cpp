#include "extract/mixed.h"

#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"

namespace vitrine {
namespace {

// "device.name "NVIDIA A100", this run has "NVIDIA H200"", for each field that differs; empty if none does.
std::string difference_words(const ComputeRecord& recorded, ComputeRecord given) {
  given.precision = recorded.precision;
  std::string words;
  for (const JsonDifference& difference : differences(recorded, given))
    words +=
        text(words.empty() ? "" : ", ", difference.key, " ", difference.recorded, ", this run has ", difference.given);
  return words;
}

}  // namespace

TrackInfo with_arithmetic_of_cache(const std::filesystem::path& cache, TrackInfo track, bool allow_mixed) {
  const std::filesystem::path path = cache / track.directory() / "track.json";
  if (!path_exists(path)) return track;
  const TrackInfo recorded = TrackInfo::from_file_text(read_file(path), path.string());
  const std::string words = difference_words(recorded.made_with, track.made_with);
  if (!words.empty() && !allow_mixed)
    fail(path.string(), ": was made with ", words,
         ", and values would differ in the last digits; continue where it was begun, or add --allow mixed: then each "
         "shard records what made it");
  track.teacher.resampled_from = recorded.teacher.resampled_from;
  track.class_names_sha256 = recorded.class_names_sha256;
  const std::string precision = std::exchange(track.made_with, recorded.made_with).precision;
  track.made_with.precision = precision;
  return track;
}

}  // namespace vitrine
