// Computes the terms of one step's loss from the student's outputs and the teacher's targets: holds the modules between
// the two (feature transformer, exits) and chooses terms by phase and configuration.
#ifndef VITRINE_TRAIN_MATCHING_OBJECTIVE_H_
#define VITRINE_TRAIN_MATCHING_OBJECTIVE_H_

#include <torch/nn/module.h>
#include <ATen/ATen.h>

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

/// The part of the run's options that determines the terms and the modules between student and teacher.
struct ObjectiveOptions {
  FeatureTransformerOptions transformer;
  LossOptions loss;
  std::string features;            ///< tracks of the feature term, as in TargetOptions; empty: none
  std::string attention;           ///< track of attention transfer; empty: none
  std::string precision = "fp32";  ///< of the exits (common/models/precision.h)
};

/// The run's optimizer updates its modules' parameters. Not thread-safe.
class Objective {
 public:
  /// `shapes`: of the targets; `widths`: channels of the student's stages, empty for a ViT; `size`: side of the
  /// student's input, in pixels. Weights are initialised from torch's default generator. Throws Error when the options
  /// ask for maps or exits of a student without stages, or for exits or the teacher's score without its logits.
  Objective(const ObjectiveOptions& options, const TargetShapes& shapes, const std::vector<std::int64_t>& widths,
            int classes, int size, at::Device device);

  /// Begins a step of this phase: sets which modules learn, and forgets the last step's mapped() weights. BatchNorm of
  /// the exits is frozen when the student's is.
  void enter(const PhaseOptions& phase);
  /// The terms that phase, targets and configuration ask for; called for each micro-batch of the step. `out`: the
  /// student's outputs for `batch`, with their graph unless the phase freezes the student.
  LossTerms terms(const NetworkOutputs& out, const Batch& batch, const PhaseOptions& phase);

  /// With the adaptive mapping, the mean weights over the step's views, per stage over the tracks. Else empty.
  struct Mapped {
    std::vector<std::uint32_t> stages;
    std::vector<std::string> tracks;
    at::Tensor weights;  ///< [stages, tracks]; undefined in a step without features
  };
  const Mapped& mapped() const { return mapped_; }
  /// The student's stage, 1 to 4, that each feature track is paired with, and that of attention; empty without either.
  std::vector<std::pair<std::string, std::uint32_t>> pairs() const;

  /// The modules, named as their tensors' prefix in checkpoints: "transformer" (with several pairs "transformer1" and
  /// so on), "mapping", "exits", "embedding".
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
  bool topk_;                          // the teacher's logits are packed rows (losses/topk.h)
  at::Tensor columns_, column_of_;     // with TargetShapes::columns: those, and each class's column or -1
  std::vector<std::uint32_t> stages_;  // one per transformer
  std::vector<FeatureTransformer> transformers_;
  std::vector<std::optional<ChannelBasis>> bases_;  // one per track
  AdaptiveMapping mapping_{nullptr};
  Mapped mapped_;
  std::int64_t mapped_views_ = 0;  // of the step, so far
  StageExits exits_{nullptr};
  EmbeddingProjector embedding_{nullptr};
  std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>> modules_;
};

/// Teacher features [N, C, H, W] of a track, rotated or not, plus Gaussian noise of `deviations` times each channel's
/// standard deviation in the batch. The noise is a function of seed, track and step, drawn on the features' device
/// (kinds of devices draw different numbers).
at::Tensor with_noise(const at::Tensor& features, double deviations, std::uint64_t seed, std::size_t track,
                      std::uint64_t step);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_MATCHING_OBJECTIVE_H_
