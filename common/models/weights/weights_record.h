// The description that a file of weights carries in the "__metadata__" of safetensors, which other readers ignore: the
// model, its preprocessing, its classes, and which weights these are.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_WEIGHTS_RECORD_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_WEIGHTS_RECORD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/plan/image_index.h"
#include "common/models/model_options.h"

namespace vitrine {

struct WeightsRecord {
  ModelOptions model;      ///< kind and sizes; for a ViT all dimensions and an empty arch; `weights` is empty
  std::uint32_t size = 0;  ///< side of the model's square input, in pixels
  std::vector<double> mean, stddev;
  double crop_pct = 0;
  Decoding decoding;                 ///< of its pictures
  std::string precision;             ///< used in training
  std::vector<std::string> classes;  ///< names in the order of the outputs; empty: unknown
  std::uint64_t class_count = 0;     ///< outputs
  std::uint64_t step = 0;            ///< updates made
  /// How these weights were selected: "top1" or "agreement" on the validation images, else "last".
  std::string selection = "last";
  std::optional<double> score;  ///< of that selection, in [0, 1]

  /// As safetensors metadata: "format" is "pt", as in PyTorch's files; the other keys begin with "vitrine.".
  std::map<std::string, std::string> metadata() const;
  /// Nothing when the metadata has none of these keys (weights of another program or an older version). Throws Error
  /// that begins with `where` for invalid values.
  static std::optional<WeightsRecord> parse(const std::map<std::string, std::string>& metadata,
                                            const std::string& where);
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_WEIGHTS_RECORD_H_
