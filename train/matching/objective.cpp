#include "train/matching/objective.h"

#include <torch/nn/modules/batchnorm.h>
#include <ATen/ATen.h>

#include "common/base/error.h"
#include "common/base/philox.h"
#include "common/models/autocast.h"
#include "common/models/precision.h"
#include "train/losses/topk.h"
#include "train/matching/pairs.h"
#include "train/targets/target_options.h"

namespace vitrine {
namespace {

std::uint32_t single_stage(const FeatureTransformerOptions& options, const TargetShapes& shapes, int size) {
  if (options.stage > 0) return static_cast<std::uint32_t>(options.stage);
  const std::vector<std::int64_t>& map = shapes.features.empty() ? shapes.attention : shapes.features[0];
  return map.empty() ? 4 : matching_stage(size, map[1]);  // of [channels or heads, height, width]
}

// Drawn on the features' device: a batch of noise is as large as the features.
at::Generator generator_on(at::Device device, std::uint64_t seed) {
  if (device.is_cpu()) return at::make_generator<at::CPUGeneratorImpl>(seed);
  at::Generator generator =
      at::globalContext().getAcceleratorHooksInterface(device.type()).getNewGenerator(device.index());
  generator.set_current_seed(seed);
  return generator;
}

}  // namespace

Objective::Objective(const ObjectiveOptions& options, const TargetShapes& shapes,
                     const std::vector<std::int64_t>& widths, int classes, int size, at::Device device)
    : options_(options), device_(device), stage_(single_stage(options.transformer, shapes, size)), topk_(shapes.topk) {
  const LossOptions& loss = options.loss;
  if (topk_ && (loss.output != OutputForm::kKl || loss.exits_weight > 0 ||
                (loss.attention == AttentionForm::kGradient && loss.guidance_score == GuidanceScore::kTeacher)))
    fail(
        "the cache has only the teacher's largest logits, which work only with loss.output = \"kl\", without exits "
        "and the teacher's score; extract all logits, or change loss.output, loss.exits_weight and "
        "loss.guidance_score");
  if (!shapes.attention.empty() && shapes.logits.empty() && loss.attention == AttentionForm::kGradient &&
      loss.guidance_score == GuidanceScore::kTeacher)
    fail(
        "loss.guidance_score = \"teacher\" needs the teacher's logits, which the targets do not have; extract them, or "
        "set it to \"labels\"");
  if (!shapes.columns.empty()) {
    columns_ = at::tensor(shapes.columns, at::kLong).to(device);
    column_of_ = at::full({classes}, -1, columns_.options());
    column_of_.index_copy_(0, columns_, at::arange(columns_.size(0), columns_.options()));
  }
  if (widths.empty() && (!shapes.features.empty() || !shapes.attention.empty() || !shapes.embedding.empty()))
    fail(
        "model.kind = \"vit\" learns from labels and logits only; set targets.features and targets.attention to \"\", "
        "and targets.embedding to false");
  if (!shapes.features.empty()) make_feature_modules(shapes, widths);
  if (options.loss.exits_weight > 0) {
    if (widths.empty())
      fail("loss.exits_weight is ", options.loss.exits_weight, ", but a ViT has no stages for exits; set it to 0");
    if (shapes.logits.empty())
      fail("loss.exits_weight is ", options.loss.exits_weight,
           ", but exits learn from a teacher's logits; set targets.source, or the weight to 0");
    exits_ = StageExits(widths, classes);
    modules_.emplace_back("exits", exits_.ptr());
  }
  if (!shapes.embedding.empty()) {
    embedding_ = EmbeddingProjector(widths.back(), shapes.embedding[0]);
    modules_.emplace_back("embedding", embedding_.ptr());
  }
  for (const auto& [name, module] : modules_) module->to(device);
}

void Objective::make_feature_modules(const TargetShapes& shapes, const std::vector<std::int64_t>& widths) {
  const FeatureTransformerOptions& options = options_.transformer;
  const std::vector<std::string> tracks = feature_tracks(options_.features);
  const auto width = [&](std::uint32_t stage) { return widths[stage - 1]; };
  for (const auto& basis : shapes.bases)
    bases_.push_back(basis ? std::optional<ChannelBasis>(std::in_place, *basis, device_) : std::nullopt);
  if (options.mapping == Mapping::kAdaptive) {
    if (options.direction != Direction::kStudentToTeacher || options.form != FeatureForm::kPlain)
      fail(
          "transformer.mapping = \"adaptive\" compares plainly and from the student to the teacher, whose maps stay as "
          "they are; set transformer.direction = \"student_to_teacher\" and transformer.form = \"plain\"");
    mapped_ = {options.stages.empty() ? std::vector<std::uint32_t>{1, 2, 3, 4} : options.stages, tracks, {}};
    std::vector<std::int64_t> stage_widths, channels;
    for (const std::uint32_t stage : mapped_.stages) stage_widths.push_back(width(stage));
    for (const std::vector<std::int64_t>& shape : shapes.features) channels.push_back(shape[0]);
    mapping_ = AdaptiveMapping(stage_widths, channels);
    modules_.emplace_back("mapping", mapping_.ptr());
    return;
  }
  stages_ = paired_stages(options, tracks, stage_);
  for (std::size_t t = 0; t < tracks.size(); ++t) {
    const std::vector<std::int64_t>& shape = shapes.features[t];
    transformers_.emplace_back(options, FeatureShapes{shape[0], width(stages_[t]), shape[1], shape[2]},
                               bases_[t] ? bases_[t]->vectors() : at::Tensor());
    modules_.emplace_back(tracks.size() == 1 ? "transformer" : "transformer" + std::to_string(t + 1),
                          transformers_.back().ptr());
  }
}

std::vector<std::pair<std::string, std::uint32_t>> Objective::pairs() const {
  std::vector<std::pair<std::string, std::uint32_t>> out;
  const std::vector<std::string> tracks = feature_tracks(options_.features);
  for (std::size_t t = 0; t < stages_.size(); ++t) out.emplace_back(tracks[t], stages_[t]);
  if (!options_.attention.empty()) out.emplace_back(options_.attention, stage_);
  return out;
}

// The student's logits of the classes that the teacher has, [N, columns].
at::Tensor Objective::taught(const at::Tensor& logits) const {
  return columns_.defined() ? logits.index_select(1, columns_) : logits;
}

// The labels as columns of these; -1 for a class that the teacher does not have.
MixedLabels Objective::taught(const MixedLabels& labels) const {
  if (!columns_.defined()) return labels;
  const auto columns = [&](const at::Tensor& label) {
    return at::where(label.ge(0), column_of_.index_select(0, label.clamp_min(0)), label);
  };
  return {columns(labels.label), columns(labels.partner_label), labels.own_share, false};
}

void Objective::enter(const PhaseOptions& phase) {
  mapped_.weights = at::Tensor();
  mapped_views_ = 0;
  for (const auto& [name, module] : modules_) {
    module->train();
    if (phase.freeze_student || phase.freeze_batch_norm)
      for (const auto& child : module->modules())
        if (auto norm = std::dynamic_pointer_cast<torch::nn::BatchNorm2dImpl>(child)) norm->eval();
    for (at::Tensor& parameter : module->parameters())
      parameter.requires_grad_(name == "exits" ? !phase.freeze_student : phase.train_transformer);
  }
}

at::Tensor Objective::feature_loss(const NetworkOutputs& out, const Batch& batch) {
  if (mapping_) {
    std::vector<at::Tensor> stages, maps;
    for (std::size_t t = 0; t < batch.features.size(); ++t) {
      if (!batch.features[t].defined()) return {};
      // Its keys are standardised over channels, which is not invariant under the rotation.
      maps.push_back(bases_[t] ? bases_[t]->maps(batch.features[t]) : batch.features[t]);
    }
    for (const std::uint32_t stage : mapped_.stages) stages.push_back(out.stages[stage - 1]);
    const MappedLoss mapped = mapping_->forward(stages, maps);
    const std::int64_t views = maps.front().size(0);
    mapped_views_ += views;
    const double share = static_cast<double>(views) / static_cast<double>(mapped_views_);
    mapped_.weights = mapped_.weights.defined() ? at::lerp(mapped_.weights, mapped.weights, share) : mapped.weights;
    return mapped.loss;
  }
  at::Tensor sum;
  std::size_t pairs = 0;
  for (std::size_t t = 0; t < transformers_.size(); ++t) {
    if (!batch.features[t].defined()) continue;
    const at::Tensor loss =
        transformers_[t]->forward(out.stages[stages_[t] - 1], batch.features[t], batch.attention).loss;
    sum = sum.defined() ? sum + loss : loss;
    ++pairs;
  }
  return pairs > 1 ? sum / static_cast<double>(pairs) : sum;
}

LossTerms Objective::terms(const NetworkOutputs& out, const Batch& batch, const PhaseOptions& phase) {
  LossTerms terms;
  if (phase.output_term && batch.logits.defined()) {
    terms.output = topk_ ? topk_kl_divergence(out.logits, unpack_topk(batch.logits), options_.loss.temperature)
                         : output_loss(taught(out.logits), batch.logits, taught(batch.labels), options_.loss);
    if (exits_ && !phase.freeze_student) {
      std::vector<at::Tensor> logits;
      {
        const Autocast autocast(device_, compute_type(options_.precision));
        logits = exits_->forward(out.stages);
      }
      for (const at::Tensor& exit : logits) {
        const at::Tensor one = adaptive_target(taught(exit), batch.logits, taught(batch.labels),
                                               options_.loss.temperature, options_.loss.target_exponent);
        terms.exits = terms.exits.defined() ? terms.exits + one : one;
      }
      terms.exits = terms.exits / static_cast<double>(logits.size());
    }
  }
  if (phase.feature_term && !batch.features.empty()) terms.feature = feature_loss(out, batch);
  if (phase.feature_term && embedding_ && batch.embedding.defined())
    terms.embedding = embedding_->forward(out.stages.back(), batch.embedding);
  if (phase.attention_term && !phase.freeze_student && batch.attention.defined()) add_guidance(out, batch, terms);
  if (phase.label_term) terms.label = cross_entropy(out.logits, batch.labels, options_.loss.label_smoothing);
  return terms;
}

void Objective::add_guidance(const NetworkOutputs& out, const Batch& batch, LossTerms& terms) {
  const LossOptions& loss = options_.loss;
  const at::Tensor& features = out.stages[stage_ - 1];
  switch (loss.attention) {
    case AttentionForm::kActivation:
      terms.attention = attention_transfer(features, batch.attention, loss.attention_scaling);
      break;
    case AttentionForm::kGradient: {
      const bool teachers = loss.guidance_score == GuidanceScore::kTeacher;
      const at::Tensor score =
          guidance_score(teachers ? taught(out.logits) : out.logits, batch.logits, batch.labels, loss.guidance_score);
      terms.attention = gradient_guidance(features, score, batch.attention, loss.attention_scaling);
      break;
    }
    case AttentionForm::kGradientScaling:
      guide_gradient(features, batch.attention, loss.guidance_strength);
      break;
  }
}

at::Tensor with_noise(const at::Tensor& features, double deviations, std::uint64_t seed, std::size_t track,
                      std::uint64_t step) {
  if (deviations <= 0 || !features.defined()) return features;
  RandomStream draws(seed, Purpose::kFeatureNoise, track, step);
  const std::uint64_t high = draws.bits();
  const at::Tensor size = deviations * features.std({0, 2, 3}, /*unbiased=*/false, /*keepdim=*/true);
  return at::randn(features.sizes(), generator_on(features.device(), high << 32 | draws.bits()),
                   features.options().dtype(at::kFloat))
      .mul_(size)
      .add_(features);
}

}  // namespace vitrine
