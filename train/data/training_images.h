// The images that a run trains on, and the number of their classes.
#ifndef VITRINE_TRAIN_DATA_TRAINING_IMAGES_H_
#define VITRINE_TRAIN_DATA_TRAINING_IMAGES_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "common/image/bad_pictures.h"
#include "common/image/folders.h"
#include "common/image/scan.h"
#include "common/plan/image_index.h"
#include "train/targets/source.h"

namespace vitrine {

/// Which images a run trains on, and how they are looked at: a part of its options.
struct TrainingImageOptions {
  ImageFolders folders;
  std::string cache;                              ///< the directory of the cache that was made from them; empty: none
  IndexDepth index_depth = IndexDepth::kHeaders;  ///< without a cache, how far they are looked at
  VerifyImages verify_images = VerifyImages::kSample;  ///< with a cache, how far its index is believed
  BadImages bad_images = BadImages::kStop;             ///< when a picture of the index cannot be read
  double max_bad_share = 0.01;                         ///< of the images that may be skipped
  Decoding decoding;  ///< of every picture; with a cache its own, and these are not given or the same
};

struct TrainingImages {
  std::shared_ptr<const ImageIndex> index;
  std::vector<LeftOut> left_out;     ///< by ids
  std::shared_ptr<BadPictures> bad;  ///< with those in it that a cache's index has and that are gone or changed
};

/// Lists the training images, and says how many there are and what is left out. With a cache whose images have labels
/// that this run does not want, they are listed as the cache lists them. Throws Error for a folder that is not what the
/// options or the cache say, and Stopped once `stop` is set.
TrainingImages scan_training_images(const TrainingImageOptions& options, const StopFlag& stop = never_stop());

/// The number of the student's classes: the images' class folders, or the teacher's where there are none. Throws Error
/// when both are there and differ.
std::size_t student_classes(const ImageIndex& index, const TargetShapes& shapes);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_DATA_TRAINING_IMAGES_H_
