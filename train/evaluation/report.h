// The report that `vitrine-train --evaluate` prints, as text or JSON.
#ifndef VITRINE_TRAIN_EVALUATION_REPORT_H_
#define VITRINE_TRAIN_EVALUATION_REPORT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/eval/metrics.h"
#include "common/image/left_out.h"

namespace vitrine {

struct Report {
  std::string checkpoint, folder;                ///< the evaluated file, and the folder of images
  std::string about;                             ///< description of the weights; may be empty
  std::string precision;                         ///< of the arithmetic: "fp32", "tf32", "bf16" or "fp16"
  std::uint64_t images = 0;                      ///< evaluated: those of the folder that can be read
  std::vector<LeftOut> left_out = {};            ///< of the folder, sorted by path
  std::vector<std::string> classes;              ///< names, in the order of the model's outputs; none without labels
  std::optional<ClassificationMetrics> metrics;  ///< metrics that need labels; none with labels = "none"
  std::optional<double> agreement;               ///< with the teacher, if there is one: a share in [0, 1]
};

/// "14.00" for 0.14.
std::string percent(double share);

/// "2 of the model's 12 classes have no image here: cat, dog", with at most three names; empty if all classes have one.
/// `images`: of each class. `owner`, `image`: "the model's", "image here".
std::string classes_without_images(const std::vector<std::string>& classes, std::span<const std::uint64_t> images,
                                   const std::string& owner, const std::string& image);

/// A table of classes, then the totals.
std::string as_text(const Report& report);
std::string as_json(const Report& report);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_EVALUATION_REPORT_H_
