// When does a cache pay? Extraction and reading on one side, the teacher in every epoch on the other.
#ifndef VITRINE_COMMON_INSPECT_BREAK_EVEN_H_
#define VITRINE_COMMON_INSPECT_BREAK_EVEN_H_

#include <cstdint>
#include <optional>

namespace vitrine {

/// What one machine needs for one view, in seconds with all its workers busy (of one worker, divided by their number).
struct ViewCosts {
  double extraction = 0;   ///< decode, crop and mix, the teacher, encode, write
  double read = 0;         ///< the view's targets out of the cache, as a student takes them
  double live = 0;         ///< the teacher's forward alone: the student needs the picture in both cases
  double calibration = 0;  ///< before the first shard, once: all of it, divided by the views of a pass
};

/// With V views a pass, P passes extracted and n epochs trained (of one student, or of several together):
///     cache = V calibration + P V extraction + n V read        live = n V live
/// Equal at n = (P extraction + calibration) / (live − read), which this returns; nothing when live ≤ read: then the
/// cache never pays. Not in it: what a live teacher takes of the GPU's memory, and what a cache takes of the disk.
constexpr std::optional<double> break_even_epochs(const ViewCosts& costs, double passes) {
  if (!(costs.live > costs.read)) return std::nullopt;
  return (passes * costs.extraction + costs.calibration) / (costs.live - costs.read);
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_INSPECT_BREAK_EVEN_H_
