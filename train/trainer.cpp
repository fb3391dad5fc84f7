#include <torch/torch.h>

#include "train/trainer.h"

#include <chrono>
#include <sstream>
#include <thread>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/config/config.h"
#include "common/image/scan.h"
#include "common/kernels/normalise.h"
#include "common/models/autocast.h"
#include "common/models/device.h"
#include "common/models/load.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/run_log.h"
#include "train/topk_loss.h"

namespace vitrine {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::uint32_t cores() { return std::max(1u, std::thread::hardware_concurrency()); }

std::shared_ptr<const ImageIndex> scan(const TrainOptions& options) {
  if (options.images.empty()) fail("images is not given; expected a folder of class folders");
  if (options.output.empty()) fail("output is not given; expected a directory for checkpoints and logs");
  std::vector<LeftOut> left_out;
  const std::filesystem::path made = std::filesystem::path(options.targets.cache) / "index.h5";
  const bool cached = options.targets.source == TargetKind::kCache && std::filesystem::exists(made);
  auto index = std::make_shared<const ImageIndex>(
      scan_image_folder(options.images, &left_out, cached ? read_index(made) : ImageIndex(), options.verify_images));
  note(text(options.images, ": ", human_count(index->images.size()), " images in ", index->classes.size(), " classes, ", left_out.size(), " left out"));
  return index;
}

bool only_features(const PhaseOptions& phase) { return phase.feature_term && !phase.output_term && !phase.label_term; }

// Seeded at the last moment: a live teacher's construction draws weights too, and must not move the student's.
Network seeded_network(const TrainOptions& options, std::size_t classes, at::Device device) {
  torch::manual_seed(options.seed);
  return Network(options.model, static_cast<int>(classes), device);
}

}  // namespace

/// On the device.
struct Trainer::Batch {
  at::Tensor pictures;  // uint8 [B, S, S, 3]
  MixedLabels labels;
  at::Tensor logits, features, attention;
};

std::string meaningful_settings(const TrainOptions& options) {
  static constexpr const char* kFree[] = {"output ", "workers ", "device ", "eval_every ", "checkpoint_every ", "log_every ", "max_steps ", "resume ", "validation ", "test ", "images ", "targets.cache ", "verify_images "};
  std::istringstream lines(config_as_toml(options));
  std::string out, line;
  while (std::getline(lines, line)) {
    bool free = false;
    for (const char* key : kFree) free = free || line.starts_with(key);
    if (!free) out += line + "\n";
  }
  return out;
}

Trainer::Trainer(const TrainOptions& options)
    : options_(options),
      device_(select_device(options.device)),
      index_(scan(options)),
      source_(make_target_source(options, index_)),
      network_(seeded_network(options, index_->classes.size(), device_)) {
  const PlanOptions& plan = source_->plan().options();
  size_ = options_.size > 0 ? static_cast<int>(options_.size) : static_cast<int>(plan.image_size);
  views_ = std::make_unique<ViewMaker>(options_.images, index_, plan.image_size);
  shapes_ = source_->shapes();
  three_colours(options_.mean, "mean");  // refused here, before anything is written
  three_colours(options_.deviation, "deviation");
  if (options_.threads == 0) options_.threads = cores();
  if (options_.workers == 0) options_.workers = cores();

  const std::uint32_t batch = options_.batch, group = plan.group;
  if (batch % group != 0 && group % batch != 0)
    fail("batch = ", batch, " neither divides the group of ", group, " views nor is a multiple of it; choose one that does");
  groups_per_step_ = std::max(1u, batch / group);
  steps_per_group_ = std::max(1u, group / batch);
  steps_per_epoch_ = source_->plan().groups_per_pass() / groups_per_step_ * steps_per_group_;
  if (steps_per_epoch_ == 0)
    fail("batch = ", batch, " is larger than a pass of ", std::uint64_t{source_->plan().groups_per_pass()} * group, " views; choose a smaller one");
  steps_ = steps_per_epoch_ * options_.schedule.epochs();
  if (steps_ == 0) fail("the schedule has no epochs; set schedule.joint.epochs or another phase's");
  if (!shapes_.logits.empty() && shapes_.classes != static_cast<std::int64_t>(index_->classes.size()))
    fail("the teacher has ", shapes_.classes, " classes, the images have ", index_->classes.size(), "; they must be the same classes in the same order");
  for (const PhaseOptions* phase : options_.schedule.phases()) {
    if (phase->epochs == 0) continue;
    if (only_features(*phase) && shapes_.features.empty())
      fail("schedule.", phase->name, " learns from feature maps alone, but targets.features names no track; name one or set schedule.", phase->name, ".epochs = 0");
    if (source_->passes(only_features(*phase)).empty())
      fail("no pass is complete in every track that schedule.", phase->name, " needs; let vitrine-extract finish, or train without them");
  }
  if (!shapes_.features.empty() || !shapes_.attention.empty()) {
    const std::vector<std::int64_t> widths = network_.widths();
    if (widths.empty()) fail("model.kind = \"vit\" learns from labels and logits only; set targets.features and targets.attention to \"\"");
    if (!shapes_.features.empty()) {
      transformer_ = FeatureTransformer(options_.transformer, FeatureShapes{shapes_.features[0], widths[static_cast<std::size_t>(options_.transformer.stage) - 1],
                                                                            shapes_.features[1], shapes_.features[2]});
      transformer_->to(device_);
    }
  }
  NamedParameters parameters;
  for (const auto& item : network_.module().named_parameters()) parameters.emplace_back("model." + item.key(), item.value());
  if (transformer_)
    for (const auto& item : transformer_->named_parameters()) parameters.emplace_back("transformer." + item.key(), item.value());
  optimizer_ = make_optimizer(std::move(parameters), options_.optimizer);
  if (options_.resume) restore();
}

Trainer::~Trainer() = default;

Tensors Trainer::state() {
  Tensors out;
  for (const auto& [name, tensor] : state_dict(network_.module())) out.emplace("model." + name, tensor);
  if (transformer_)
    for (const auto& [name, tensor] : state_dict(*transformer_)) out.emplace("transformer." + name, tensor);
  for (const auto& [name, tensor] : optimizer_->state()) out.emplace("optimizer." + name, tensor);
  return out;
}

void Trainer::save(std::uint64_t step, double seconds, double used_core_seconds) {
  save_checkpoint(options_.output, {step, best_top1_, seconds, used_core_seconds, meaningful_settings(options_), source_->plan().hash(), state()});
}

void Trainer::restore() {
  const std::optional<Checkpoint> checkpoint = load_checkpoint(options_.output);
  if (!checkpoint) return;
  check_same_settings(checkpoint->settings, meaningful_settings(options_), options_.output);
  if (checkpoint->plan_hash != source_->plan().hash())
    fail(options_.output, ": the checkpoint was made on the plan ", checkpoint->plan_hash, ", this run has ", source_->plan().hash(), "; resume with the same images and cache");
  std::map<std::string, Tensors> parts;
  for (const auto& [name, tensor] : checkpoint->tensors) {
    const std::size_t dot = name.find('.');
    parts[name.substr(0, dot)].emplace(name.substr(dot + 1), tensor);
  }
  load_weights(network_.module(), parts["model"], options_.output);
  if (transformer_) load_weights(*transformer_, parts["transformer"], options_.output);
  optimizer_->load_state(parts["optimizer"], options_.output);
  first_step_ = checkpoint->step;
  best_top1_ = checkpoint->best_top1;
  seconds_before_ = checkpoint->seconds;
  core_seconds_before_ = checkpoint->core_seconds;
  note(text("going on after step ", human_count(first_step_), " of ", human_count(steps_)));
}

std::unique_ptr<GroupStream> Trainer::open_stream() {
  const std::uint64_t groups_per_epoch = steps_per_epoch_ * groups_per_step_ / steps_per_group_;
  const std::uint64_t epoch = first_step_ / steps_per_epoch_, in_epoch = first_step_ % steps_per_epoch_;
  const std::uint64_t first = epoch * groups_per_epoch + in_epoch * groups_per_step_ / steps_per_group_;
  open_group_.reset();
  used_views_ = static_cast<std::uint32_t>(in_epoch % steps_per_group_ * options_.batch);

  const std::uint64_t total = groups_per_epoch * options_.schedule.epochs();
  auto order = std::make_shared<std::pair<std::int64_t, std::vector<GroupKey>>>(-1, std::vector<GroupKey>{});
  const auto items = [this, groups_per_epoch, total, order](std::uint64_t n) -> std::optional<StreamItem> {
    if (n >= total) return std::nullopt;
    const auto number = static_cast<std::uint32_t>(n / groups_per_epoch);
    if (order->first != number) {
      const PhaseOptions& phase = *phase_at(options_.schedule, number * steps_per_epoch_, steps_per_epoch_).phase;
      *order = {number, epoch_order(options_.seed, number, source_->plan().groups_per_pass(), source_->passes(only_features(phase)))};
    }
    return StreamItem{number, order->second[n % groups_per_epoch]};
  };
  StreamOptions stream{size_, options_.seed, options_.workers, 2 * options_.workers + 2, options_.augment};
  return std::make_unique<GroupStream>(*source_, *views_, stream, items, first);
}

std::optional<Trainer::Batch> Trainer::next_batch(GroupStream& stream) {
  std::vector<at::Tensor> pictures, label, partner, share, logits, features, attention;
  for (std::uint32_t rows = 0; rows < options_.batch;) {
    if (!open_group_ || used_views_ == open_group_->views) {
      const bool resumed_inside = !open_group_ && used_views_ > 0;
      open_group_ = stream.next();
      if (!open_group_) return std::nullopt;
      if (!resumed_inside) used_views_ = 0;
    }
    GroupBatch& group = *open_group_;
    const std::int64_t first = used_views_, count = std::min(options_.batch - rows, group.views - used_views_);
    const auto cut = [&](auto& values, std::vector<std::int64_t> view, at::ScalarType type) {
      std::int64_t each = 1;
      for (const std::int64_t side : view) each *= side;
      view.insert(view.begin(), count);
      return at::from_blob(values.data() + first * each, view, type).clone();
    };
    pictures.push_back(cut(group.pictures, {size_, size_, 3}, at::kByte));
    label.push_back(cut(group.label, {}, at::kLong));
    partner.push_back(cut(group.partner_label, {}, at::kLong));
    share.push_back(cut(group.own_share, {}, at::kFloat));
    if (!group.targets.logits.empty()) logits.push_back(cut(group.targets.logits, shapes_.logits, at::kFloat));
    if (!group.targets.features.empty()) features.push_back(cut(group.targets.features, shapes_.features, at::kFloat));
    if (!group.targets.attention.empty()) attention.push_back(cut(group.targets.attention, shapes_.attention, at::kFloat));
    rows += static_cast<std::uint32_t>(count);
    used_views_ += static_cast<std::uint32_t>(count);
  }
  const auto joined = [this](const std::vector<at::Tensor>& parts) { return parts.empty() ? at::Tensor() : at::cat(parts).to(device_); };
  return Batch{joined(pictures), {joined(label), joined(partner), joined(share)}, joined(logits), joined(features), joined(attention)};
}

void Trainer::enter_phase(const PhaseOptions& phase) {
  network_.train_mode(phase.freeze_batch_norm || phase.freeze_student);
  for (at::Tensor& parameter : network_.module().parameters()) parameter.requires_grad_(!phase.freeze_student);
  if (transformer_)
    for (at::Tensor& parameter : transformer_->parameters()) parameter.requires_grad_(phase.train_transformer);
}

at::Tensor Trainer::with_noise(const at::Tensor& features, std::uint64_t step) const {
  if (options_.feature_noise <= 0) return features;
  Stream draws(options_.seed, Purpose::kFeatureNoise, 0, step);
  const std::uint64_t high = draws.bits();
  auto generator = at::make_generator<at::CPUGeneratorImpl>(high << 32 | draws.bits());
  const at::Tensor noise = at::randn(features.sizes(), generator, at::TensorOptions(at::kFloat)).to(device_);
  return features + options_.feature_noise * features.std({0, 2, 3}, /*unbiased=*/false, /*keepdim=*/true) * noise;
}

void Trainer::clip() {
  if (options_.clip_norm <= 0) return;
  std::vector<at::Tensor> gradients;
  const auto collect = [&](torch::nn::Module& module) {
    for (const at::Tensor& parameter : module.parameters())
      if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  };
  collect(network_.module());
  if (transformer_) collect(*transformer_);
  const at::Tensor norm = at::stack(at::_foreach_norm(gradients)).norm();
  const at::Tensor factor = (options_.clip_norm / (norm + 1e-6)).clamp_max(1.0);
  at::_foreach_mul_(gradients, factor);
}

LossTerms Trainer::step(const Batch& batch, const SchedulePoint& point, std::uint64_t number) {
  const PhaseOptions& phase = *point.phase;
  const at::Tensor x = normalise_pictures(batch.pictures, three_colours(options_.mean, "mean"), three_colours(options_.deviation, "deviation"));
  NetworkOutputs out;
  {
    const torch::AutoGradMode graph(!phase.freeze_student);
    const Autocast autocast(device_, options_.precision == "bf16" ? at::kBFloat16 : at::kFloat);
    out = network_.forward(x);
  }
  LossTerms terms;
  const auto stage = static_cast<std::size_t>(options_.transformer.stage) - 1;
  if (phase.output_term && batch.logits.defined())
    terms.output = shapes_.topk ? topk_kl_divergence(out.logits, unpack_topk(batch.logits), options_.loss.temperature)
                                : kl_divergence(out.logits, batch.logits, options_.loss.temperature);
  if (phase.feature_term && transformer_ && batch.features.defined())
    terms.feature = transformer_->forward(out.stages[stage], with_noise(batch.features, number), batch.attention).loss;
  if (phase.attention_term && !phase.freeze_student && batch.attention.defined())
    terms.attention = attention_transfer(out.stages[stage], batch.attention);
  if (phase.label_term) terms.label = cross_entropy(out.logits, batch.labels, options_.loss.label_smoothing);
  LossWeights weights = point.weights;
  if (options_.targets.source == TargetKind::kNone) weights.r = 0;  // labels are all there is
  const at::Tensor loss = combine(terms, options_.loss, weights);
  optimizer_->zero_grad();
  loss.backward();
  clip();
  optimizer_->step(point.lr);
  for (at::Tensor* term : {&terms.output, &terms.feature, &terms.attention, &terms.label})
    if (term->defined()) *term = term->detach();
  if ((number + 1) % options_.log_every == 0 || number == first_step_) {
    if (!std::isfinite(loss.item<double>()))
      fail("the loss is not finite at step ", number + 1, " (", phase.name, "); lower schedule.", phase.name, ".lr, or set clip_norm");
  }
  return terms;
}

void Trainer::describe() const {
  const std::uint64_t views = std::uint64_t{source_->plan().groups_per_pass()} * source_->plan().options().group;
  const std::size_t passes = source_->passes(false).size();
  note(text(human_count(steps_), " steps of ", options_.batch, " views; ", passes, " passes of ", human_count(views), " views, so each view is seen ",
            static_cast<double>(options_.schedule.epochs()) / static_cast<double>(passes), " times"));
}

TrainResult Trainer::run(const std::atomic<bool>& stop) {
  at::set_num_threads(static_cast<int>(options_.threads));
  const std::vector<std::string>& classes = index_->classes;
  std::optional<Evaluation> validation, test;
  if (!options_.validation.empty()) validation.emplace(options_.validation, classes, size_, options_);
  if (!options_.test.empty()) test.emplace(options_.test, classes, size_, options_);
  describe();
  std::filesystem::create_directories(options_.output);
  RunLog log(options_.output, first_step_);
  const Clock::time_point start = Clock::now();
  const double core_start = core_seconds();
  double waited = 0;
  TrainResult result;
  const auto seconds = [&] { return seconds_before_ + since(start); };
  const auto used = [&] { return core_seconds_before_ + core_seconds() - core_start; };

  std::uint64_t step_number = first_step_;
  const std::uint64_t last = options_.max_steps > 0 ? std::min(options_.max_steps, steps_) : steps_;
  {
    const std::unique_ptr<GroupStream> stream = open_stream();
    Progress progress("train", "views", steps_ * options_.batch, first_step_ * options_.batch);
    std::string suffix;
    for (; step_number < last && !stop; ++step_number) {
      const SchedulePoint point = phase_at(options_.schedule, step_number, steps_per_epoch_);
      const Clock::time_point asked = Clock::now();
      const std::optional<Batch> batch = next_batch(*stream);
      waited += since(asked);
      if (!batch) throw std::logic_error("the stream ended before the schedule");
      enter_phase(*point.phase);
      const LossTerms terms = step(*batch, point, step_number);
      if ((step_number + 1) % options_.log_every == 0) {
        LossWeights weights = point.weights;
        if (options_.targets.source == TargetKind::kNone) weights.r = 0;
        const double loss = combine(terms, options_.loss, weights).item<double>();
        log.add(step_number + 1, point, loss, terms, seconds(), waited / std::max(since(start), 1e-9), used());
        suffix = text(point.phase->name, ", loss ", loss);
      }
      progress.advance(options_.batch, suffix);
      const bool epoch_ends = (step_number + 1) % steps_per_epoch_ == 0;
      if (epoch_ends && validation && ((point.epoch + 1) % options_.eval_every == 0 || step_number + 1 == steps_)) {
        result.validation = validation->run(network_, device_);
        note(text("epoch ", point.epoch + 1, ", ", point.phase->name, ": top-1 ", 100 * result.validation->top1, " %, top-5 ", 100 * result.validation->top5, " %"));
        if (result.validation->top1 > best_top1_) {
          best_top1_ = result.validation->top1;
          save_safetensors(std::filesystem::path(options_.output) / "best.safetensors", state_dict(network_.module()));
        }
      }
      const bool due = options_.checkpoint_every > 0 ? (step_number + 1) % options_.checkpoint_every == 0 : epoch_ends;
      if (due && step_number + 1 < last) save(step_number + 1, seconds(), used());
    }
    progress.finish();
  }
  result.steps = step_number;
  result.finished = step_number == steps_;
  result.wall_seconds = seconds();
  result.core_seconds = used();
  result.wait_share = waited / std::max(since(start), 1e-9);
  result.images_seen = step_number * options_.batch;
  save(step_number, seconds(), used());
  if (!result.finished) return result;
  save_safetensors(std::filesystem::path(options_.output) / "final.safetensors", state_dict(network_.module()));
  if (test) result.test = test->run(network_, device_);
  write_summary(options_.output, result);
  return result;
}

}  // namespace vitrine
