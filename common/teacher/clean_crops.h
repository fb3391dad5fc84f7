// Accuracy of a teacher on clean crops. A few hundred images reveal a wrong class order in seconds, before a week of
// extraction.
#ifndef VITRINE_COMMON_TEACHER_CLEAN_CROPS_H_
#define VITRINE_COMMON_TEACHER_CLEAN_CROPS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/stop.h"
#include "common/eval/accuracy.h"
#include "common/image/views.h"
#include "common/teacher/class_map.h"
#include "common/teacher/teacher.h"

namespace vitrine {

struct CleanCrops {
  Accuracy accuracy;
  double confidence = 0;         ///< mean of the largest probability
  double calibration_error = 0;  ///< expected calibration error (common/eval/metrics.h)
  double loss = 0;               ///< mean cross-entropy with the labels, in nats
  /// Per image, in the order drawn: its number in the index, its label, the predicted class (mapped, with a map), and
  /// whether the prediction is right.
  std::vector<std::uint32_t> images, labels, predictions;
  std::vector<bool> right;
};

/// Evaluates the teacher on `count` labelled images of the index (all, if there are fewer), drawn without replacement
/// by `seed`: shorter side resized, centre crop, as in timm. With a `map`, logits are mapped and only images of mapped
/// classes count. Unreadable images that `views` skips do not count. Uses `workers` threads with one micro-batch each;
/// the result does not depend on their number. Throws Stopped between images once `stop` is set.
CleanCrops evaluate_clean_crops(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                                std::uint32_t count, std::uint64_t seed, const ClassMap* map = nullptr,
                                std::uint32_t workers = 1, const StopFlag& stop = never_stop());
/// The same with each of `normalisations` in place of the teacher's, on the same crops, which are made once.
std::vector<CleanCrops> evaluate_clean_crops(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                                             std::uint32_t count, std::uint64_t seed, const ClassMap* map,
                                             std::span<const Normalisation> normalisations, std::uint32_t workers,
                                             const StopFlag& stop);
/// Only the accuracy.
Accuracy clean_crop_accuracy(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                             std::uint32_t count, std::uint64_t seed, const ClassMap* map = nullptr,
                             std::uint32_t workers = 1, const StopFlag& stop = never_stop());

/// Share of the images of both that have the same predicted class; nullopt if they share none. Crops of one index.
std::optional<double> agreement(const CleanCrops& a, const CleanCrops& b);

/// Whether an accuracy is less than three standard errors above guessing among `classes`.
bool at_chance(const Accuracy& accuracy, std::size_t classes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CLEAN_CROPS_H_
