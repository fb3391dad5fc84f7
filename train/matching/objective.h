// From what the student computed and what the teacher gave to the terms of one step's loss: the modules that stand
// between both (feature transformer, exits) and the choice of terms by phase and configuration.
#ifndef VITRINE_TRAIN_MATCHING_OBJECTIVE_H_
#define VITRINE_TRAIN_MATCHING_OBJECTIVE_H_

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/data/batches.h"
#include "train/losses/terms.h"
#include "train/matching/adaptive_mapping.h"
#include "train/matching/embedding_projector.h"
#include "train/matching/feature_transformer.h"
#include "train/matching/stage_exits.h"
#include "train/student/network.h"
#include "train/targets/channel_basis.h"

namespace vitrine {

/// What the terms and the modules between student and teacher follow from: a part of the run's options.
struct ObjectiveOptions {
  FeatureTransformerOptions transformer;
  LossOptions loss;
  std::string features;            ///< tracks of the feature term, as TargetOptions has them; empty: none
  std::string attention;           ///< track of attention transfer; empty: none
  std::string precision = "fp32";  ///< of the exits' arithmetic (common/models/precision.h)
};

/// Its modules' parameters learn by the run's optimizer. Not for several threads.
class Objective {
 public:
  /// `shapes`: of the targets; `widths`: of the student's stages, none for a ViT; `size`: the side of what it sees, in
  /// pixels. Weights from torch's default generator. Throws Error when the options ask for maps or exits of a student
  /// without stages, or for exits without a teacher.
  Objective(const ObjectiveOptions& options, const TargetShapes& shapes, const std::vector<std::int64_t>& widths,
            int classes, int size, at::Device device);

  /// Which of its modules learn in this phase; BatchNorm of the exits is frozen where the student's is.
  void enter(const PhaseOptions& phase);
  /// The terms that phase, targets and configuration ask for. `out`: of the batch, its graph alive unless the phase
  /// freezes the student.
  LossTerms terms(const NetworkOutputs& out, const Batch& batch, const PhaseOptions& phase);

  /// With the adaptive mapping, the last batch's mean weights: of each stage, over the tracks. Else empty.
  struct Mapped {
    std::vector<std::uint32_t> stages;
    std::vector<std::string> tracks;
    at::Tensor weights;  ///< [stages, tracks]; undefined before the first batch with features
  };
  const Mapped& mapped() const { return mapped_; }
  /// Which of the student's stages, 1 to 4, each track of fixed pairs meets, and attention does; empty when there are
  /// neither.
  std::vector<std::pair<std::string, std::uint32_t>> pairs() const;

  /// By the names that their tensors have in checkpoints: "transformer" (with several pairs "transformer1" and so on),
  /// "mapping", "exits", "embedding".
  const std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>>& modules() const { return modules_; }

 private:
  void make_feature_modules(const TargetShapes& shapes, const std::vector<std::int64_t>& widths);
  at::Tensor feature_loss(const NetworkOutputs& out, const Batch& batch);
  void add_guidance(const NetworkOutputs& out, const Batch& batch, LossTerms& terms);
  at::Tensor taught(const at::Tensor& logits) const;
  MixedLabels taught(const MixedLabels& labels) const;

  ObjectiveOptions options_;
  at::Device device_;
  std::uint32_t stage_;
  bool topk_;                          // the teacher's logits are rows of the largest
  at::Tensor columns_, column_of_;     // with TargetShapes::columns: those, and of each class its column or -1
  std::vector<std::uint32_t> stages_;  // of each transformer
  std::vector<FeatureTransformer> transformers_;
  std::vector<std::optional<ChannelBasis>> bases_;  // of each track
  AdaptiveMapping mapping_{nullptr};
  Mapped mapped_;
  StageExits exits_{nullptr};
  EmbeddingProjector embedding_{nullptr};
  std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>> modules_;
};

/// Teacher features [N, C, H, W] of a track, turned or not, and noise of `deviations` of each channel's standard
/// deviation in the batch, drawn by seed, track and step alone, on the features' device (other kinds of device draw
/// other numbers).
at::Tensor with_noise(const at::Tensor& features, double deviations, std::uint64_t seed, std::size_t track,
                      std::uint64_t step);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_MATCHING_OBJECTIVE_H_
