// What the transform encoding must know of a teacher's features before the first of them is stored: a basis per track,
// from the first views of the plan. The same in every process that works on a cache, and in a live teacher.
#ifndef VITRINE_COMMON_TEACHER_CALIBRATE_H_
#define VITRINE_COMMON_TEACHER_CALIBRATE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/base/stop.h"
#include "common/cache/track.h"
#include "common/codec/transform/basis.h"
#include "common/image/views.h"
#include "common/teacher/teacher.h"

namespace vitrine {

/// Tracks that are ready to be stored: each with its codec, and with its basis where the encoding has one.
struct ReadyTracks {
  std::vector<TrackInfo> tracks;
  std::vector<std::shared_ptr<const FeatureBasis>> bases;  ///< one per track; empty for encodings without
  std::vector<std::unique_ptr<const Codec>> codecs;        ///< one per track
};

/// `tracks`: teacher.tracks(plan). `known`: one per track, bases that are there already; those that are missing are
/// calibrated on the first groups of pass 0 that hold `views` views (all of the pass, when it has fewer), with
/// `workers` threads; the result does not depend on their number. Throws Error that names view and track for features
/// that are not finite, and Stopped between two groups once `stop` is set.
ReadyTracks make_ready(const Teacher& teacher, const ViewMaker& maker, const Plan& plan, std::vector<TrackInfo> tracks,
                       std::vector<std::shared_ptr<const FeatureBasis>> known, std::uint32_t views,
                       std::uint32_t workers, const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CALIBRATE_H_
