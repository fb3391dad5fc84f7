// The images of a run, and what its labels are to it.
#ifndef VITRINE_TRAIN_DATA_TRAINING_IMAGES_H_
#define VITRINE_TRAIN_DATA_TRAINING_IMAGES_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "common/image/bad_pictures.h"
#include "common/base/stop.h"
#include "common/image/folders.h"
#include "common/plan/image_index.h"
#include "train/run/options.h"
#include "train/targets/source.h"

namespace vitrine {

/// The options as the run takes them: without labels no phase has a label term.
TrainOptions without_absent_labels(TrainOptions options);

struct TrainingImages {
  std::shared_ptr<const ImageIndex> index;
  std::vector<LeftOut> left_out;     ///< by ids
  std::shared_ptr<BadPictures> bad;  ///< with those in it that a cache's index has and that are gone or changed
};

/// Lists the training images, and says how many there are and what is left out. With a cache whose images have labels
/// that this run does not want, they are listed as the cache lists them. Throws Error for settings that contradict each
/// other about labels, before anything is read, and Stopped once `stop` is set.
TrainingImages scan_training_images(const TrainOptions& options, const StopFlag& stop = never_stop());

/// The number of the student's classes: the images' class folders, or the teacher's where there are none. Throws Error
/// when both are there and differ.
std::size_t student_classes(const ImageIndex& index, const TargetShapes& shapes);

/// Says what is learned without labels, if any are missing, and what then chooses the best checkpoint.
void describe_labels(const TrainOptions& options, const ImageIndex& index, std::size_t classes);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_DATA_TRAINING_IMAGES_H_
