// Calibration of the transform encoding: a basis per track, computed from the first views of the plan before any
// features are stored. Identical in every process that works on a cache and in a live teacher.
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

/// Tracks ready to be stored, with codecs and, if the encoding needs one, bases.
struct ReadyTracks {
  std::vector<TrackInfo> tracks;
  std::vector<std::shared_ptr<const FeatureBasis>> bases;  ///< one per track; null for encodings without a basis
  std::vector<std::unique_ptr<const Codec>> codecs;        ///< one per track
};

/// `tracks`: teacher.tracks(plan). `known`: one existing basis or null per track; missing ones are calibrated on the
/// first groups of pass 0 that hold `views` views (the whole pass if it has fewer), with `workers` threads. The result
/// does not depend on the number of workers. Throws Error naming view and track for features that are not finite, and
/// Stopped between groups once `stop` is set.
ReadyTracks make_ready(const Teacher& teacher, const ViewMaker& maker, const Plan& plan, std::vector<TrackInfo> tracks,
                       std::vector<std::shared_ptr<const FeatureBasis>> known, std::uint32_t views,
                       std::uint32_t workers, const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CALIBRATE_H_
