// Makes the source that a run learns from.
#ifndef VITRINE_TRAIN_TARGETS_MAKE_SOURCE_H_
#define VITRINE_TRAIN_TARGETS_MAKE_SOURCE_H_

#include <memory>

#include "common/base/stop.h"
#include "common/image/bad_pictures.h"
#include "common/plan/image_index.h"
#include "train/targets/source.h"
#include "train/targets/target_options.h"

namespace vitrine {

/// The source that settings.targets.source names, wrapped in MappedTargets when targets.class_map or class_names is
/// given, or when the teacher's classes are known by name and are not the class folders in their order (with a note of
/// the classes that the map drops). With settings.on_failed_check a live teacher's top-1 on clean crops is noted.
/// `index`: of the training images. Throws Error that names the first difference when a cache was made from other
/// images, for class folders of which the teacher knows only some; Stopped when `stop` is set during a live teacher's
/// check or calibration.
///
/// `bad`: collects the run's unreadable pictures; nullptr: the first unreadable picture is an Error.
std::unique_ptr<TargetSource> make_source(const SourceSettings& settings, std::shared_ptr<const ImageIndex> index,
                                          std::shared_ptr<BadPictures> bad = nullptr,
                                          const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_MAKE_SOURCE_H_
