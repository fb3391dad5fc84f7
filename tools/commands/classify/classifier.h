// A student that names what is in pictures.
#ifndef VITRINE_TOOLS_COMMANDS_CLASSIFY_CLASSIFIER_H_
#define VITRINE_TOOLS_COMMANDS_CLASSIFY_CLASSIFIER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/image/image.h"
#include "common/models/inference/frozen_resnet.h"
#include "common/models/precision.h"
#include "tools/commands/export/exported_student.h"
#include "train/run/stored_student.h"

namespace vitrine {

struct Guess {
  std::int64_t index = 0;  ///< of the class, in the order of the outputs
  double probability = 0;
};

struct ClassifiedPicture {
  std::filesystem::path path;
  std::string error;           ///< why it could not be read; empty: it was
  std::vector<Guess> guesses;  ///< by descending probability
  Image crop;                  ///< what the student saw
};

/// Shows pictures as an evaluation does: decoded as recorded, the shorter side resized, the centre cropped, in the
/// student's precision. Not thread-safe; decodes in parallel.
class Classifier {
 public:
  /// Throws Error for weights that are not finite. `device`: from select_device(). `precision`: instead of the recorded
  /// one; empty: that one.
  Classifier(const StoredStudent& student, at::Device device, const std::string& precision);
  /// Of a graph without weights, on the CPU in FP32.
  explicit Classifier(ExportedStudent student);

  /// One result per path, in their order, with the `top` likeliest classes or as many as there are. The paths are one
  /// batch. Throws Error if memory runs out or a logit is not finite, never for a picture.
  std::vector<ClassifiedPicture> classify(std::span<const std::filesystem::path> paths, std::size_t top);

  /// The clean crop of a picture at any size; throws Error if it cannot be read. Thread-safe.
  Image view(const std::filesystem::path& path, int size) const;
  /// The name of a class, or "class 17".
  std::string name_of(std::int64_t index) const;
  /// Null for an exported graph.
  Network* network() { return network_ ? &*network_ : nullptr; }
  /// Crops as the network's input, on its device.
  at::Tensor input_of(std::span<const Image* const> crops) const;

 private:
  void check_record() const;
  ClassifiedPicture read(const std::filesystem::path& path) const;
  /// uint8 [N, size, size, 3].
  at::Tensor pictures_of(std::span<const Image* const> crops) const;
  at::Tensor logits_of(std::span<const Image* const> crops);
  void check_finite(const at::Tensor& logits) const;

  WeightsRecord record_;
  std::string file_;
  at::Device device_;
  std::string precision_;
  PrecisionScope scope_;
  std::optional<Network> network_;
  std::optional<ExportedStudent> exported_;  ///< instead of a network
  std::optional<FrozenResNet> frozen_;       ///< of a ResNet on a CPU, where its fused convolutions are the quicker
};

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CLASSIFY_CLASSIFIER_H_
