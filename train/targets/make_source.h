// Which source a run learns from.
#ifndef VITRINE_TRAIN_TARGETS_MAKE_SOURCE_H_
#define VITRINE_TRAIN_TARGETS_MAKE_SOURCE_H_

#include <memory>

#include "common/base/stop.h"
#include "common/image/bad_pictures.h"
#include "common/plan/image_index.h"
#include "train/targets/source.h"
#include "train/targets/target_options.h"

namespace vitrine {

/// The source that settings.targets.source names. `index`: of the training images. With targets.class_map or
/// class_names it is within a MappedTargets, and what the map leaves out is said (note). Throws Error when a cache was
/// made from other images, and names the first difference, and Stopped when `stop` is set while a live teacher's tracks
/// are calibrated.
///
/// `bad`: the run's, which learns of pictures that cannot be read; nullptr: the first of these is an Error.
std::unique_ptr<TargetSource> make_source(const SourceSettings& settings, std::shared_ptr<const ImageIndex> index,
                                          std::shared_ptr<BadPictures> bad = nullptr,
                                          const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_MAKE_SOURCE_H_
