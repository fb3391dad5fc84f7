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

/// The part of a run's options that says which images it trains on and how they are read.
struct TrainingImageOptions {
  ImageFolders folders;
  std::string cache;                                   ///< directory of the cache that was made from them; empty: none
  IndexDepth index_depth = IndexDepth::kHeaders;       ///< without a cache: how much of each file the scan reads
  VerifyImages verify_images = VerifyImages::kSample;  ///< with a cache: how many images are compared with its index
  BadImages bad_images = BadImages::kStop;             ///< when a picture of the index cannot be read
  double max_bad_share = 0.01;                         ///< of the images that may be skipped
  Decoding decoding;  ///< of every picture; with a cache: unset, or equal to the cache's
};

struct TrainingImages {
  std::shared_ptr<const ImageIndex> index;
  std::vector<LeftOut> left_out;     ///< sorted by id
  std::shared_ptr<BadPictures> bad;  ///< includes images of the cache's index that are missing or have changed
};

/// Scans the training images and prints how many there are and which are left out. With a cache, the images are listed
/// as in its index, labels included, even when this run does not use labels. Throws Error when the folder does not
/// match the options or the cache, and Stopped once `stop` is set.
TrainingImages scan_training_images(const TrainingImageOptions& options, const StopFlag& stop = never_stop());

/// The number of the student's classes: one per class folder, or the teacher's number if there are no class folders.
/// Throws Error when both exist and differ.
std::size_t student_classes(const ImageIndex& index, const TargetShapes& shapes);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_DATA_TRAINING_IMAGES_H_
