// What a file of weights says about itself, in the "__metadata__" of safetensors, where every reader of the format
// finds it and none is disturbed by it: the model, what its pictures must look like, its classes, and which weights
// these are.
#ifndef VITRINE_TRAIN_STUDENT_WEIGHTS_RECORD_H_
#define VITRINE_TRAIN_STUDENT_WEIGHTS_RECORD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/plan/image_index.h"
#include "train/student/model_options.h"

namespace vitrine {

struct WeightsRecord {
  ModelOptions model;      ///< kind and sizes; a ViT's dimensions are all given, its arch is empty; no weights
  std::uint32_t size = 0;  ///< side of the model's square, in pixels
  std::vector<double> mean, stddev;
  double crop_pct = 0;
  Decoding decoding;                 ///< of its pictures
  std::string precision;             ///< that the model was trained in
  std::vector<std::string> classes;  ///< names in the order of the outputs; none: not known
  std::uint64_t class_count = 0;     ///< outputs
  std::uint64_t step = 0;            ///< updates made
  /// How these weights were selected: "top1" or "agreement" on the validation images, else "last".
  std::string selection = "last";
  std::optional<double> score;  ///< of that selection, in [0, 1]

  /// Strings by key. "format" is "pt", as other tools write it; the other keys begin with "vitrine.".
  std::map<std::string, std::string> metadata() const;
  /// Nothing when the metadata has none of these keys: weights from elsewhere, or of an older version. Throws Error,
  /// which begins with `where`, for values that cannot be.
  static std::optional<WeightsRecord> parse(const std::map<std::string, std::string>& metadata,
                                            const std::string& where);
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_STUDENT_WEIGHTS_RECORD_H_
