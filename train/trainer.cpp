#include <torch/torch.h>

#include "train/trainer.h"

#include <chrono>
#include <limits>
#include <sstream>
#include <thread>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/progress.h"
#include "common/config/config.h"
#include "common/image/scan_report.h"
#include "common/kernels/normalise.h"
#include "common/models/autocast.h"
#include "common/models/device.h"
#include "common/models/load.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/run_log.h"
#include "train/training_images.h"

namespace vitrine {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::uint32_t cores() {
  return std::max(1u, std::thread::hardware_concurrency());
}

// Seeded at the last moment: a live teacher's construction draws weights too, and must not move the student's.
Network seeded_network(const TrainOptions& options, std::size_t classes, at::Device device) {
  torch::manual_seed(options.seed);
  return Network(options.model, static_cast<int>(classes), device);
}

/// While it lives, the model has its averaged weights, where there is an average.
class Averaged {
 public:
  explicit Averaged(WeightAverage* average) : average_(average) {
    if (average_ != nullptr) average_->swap();
  }
  ~Averaged() {
    if (average_ != nullptr) average_->swap();
  }
  Averaged(const Averaged&) = delete;
  Averaged& operator=(const Averaged&) = delete;

 private:
  WeightAverage* average_;
};

}  // namespace

std::string meaningful_settings(const TrainOptions& options) {
  static constexpr const char* kFree[] = {
      "output ",        "workers ",    "device ",        "eval_every ",        "checkpoint_every ",
      "log_every ",     "max_steps ",  "resume ",        "validation ",        "test ",
      "images ",        "unlabelled ", "targets.cache ", "targets.class_map ", "targets.class_names ",
      "verify_images ", "allow ",      "bad_images ",    "max_bad_share ",
      "index_depth "};
  std::istringstream lines(config_as_toml(options));
  std::string out, line;
  while (std::getline(lines, line)) {
    bool free = false;
    for (const char* key : kFree) free = free || line.starts_with(key);
    if (!free) out += line + "\n";
  }
  // Where these files lie is free, what they say is not.
  const ClassMapFiles files = options.targets.class_map_files();
  for (const auto& [key, path] : {std::pair("targets.class_map", files.map), {"targets.class_names", files.names}})
    if (!path.empty()) out += text(key, " with the SHA-256 ", sha256_hex_of_file(path), "\n");
  return out;
}

Trainer::Trainer(const TrainOptions& options)
    : options_(without_absent_labels(options)),
      allowance_(options.allow),
      device_(select_device(options.device)),
      images_(scan_training_images(options)),
      index_(images_.index),
      source_(make_target_source(options, index_)),
      classes_(student_classes(*index_, source_->shapes())),
      network_(seeded_network(options, classes_, device_)) {
  const PlanOptions& plan = source_->plan().options();
  size_ = options_.size > 0 ? static_cast<int>(options_.size) : static_cast<int>(plan.image_size);
  views_ = std::make_unique<ViewMaker>(options_.folders(), index_, plan.image_size, images_.bad);
  three_colours(options_.mean, "mean");  // refused here, before anything is written
  three_colours(options_.deviation, "deviation");
  check_provenance();
  if (options_.threads == 0) options_.threads = cores();
  if (options_.workers == 0) options_.workers = cores();
  if (options_.micro_batch == 0) options_.micro_batch = options_.batch;
  if (options_.batch % options_.micro_batch != 0)
    fail("micro_batch = ", options_.micro_batch, " does not divide batch = ", options_.batch, "; choose one that does");

  batches_ = std::make_unique<Batches>(options_, *source_, *views_, size_, device_);
  steps_per_epoch_ = batches_->steps_per_epoch();
  steps_ = phase_bounds(options_.schedule, steps_per_epoch_).back();
  check_phases();
  objective_ = std::make_unique<Objective>(options_, source_->shapes(), network_.widths(), static_cast<int>(classes_),
                                           size_, device_);
  NamedParameters parameters;
  for (const auto& item : network_.module().named_parameters())
    parameters.emplace_back("model." + item.key(), item.value());
  for (const auto& [name, module] : objective_->modules())
    for (const auto& item : module->named_parameters()) parameters.emplace_back(name + "." + item.key(), item.value());
  optimizer_ = make_optimizer(std::move(parameters), options_.optimizer);
  if (options_.average.decay > 0) average_ = std::make_unique<WeightAverage>(options_.average, network_.module());
  if (options_.precision == "fp16") scaler_ = std::make_unique<GradScaler>(options_.scaler, device_);
  if (options_.resume) restore();
}

Trainer::~Trainer() = default;

void Trainer::check_provenance() {
  if (options_.targets.source != TargetKind::kCache) return;  // one teacher makes all, and judges
  const std::vector<TrackInfo> tracks = source_->tracks();
  check_tracks(options_.targets.cache, tracks, allowance_);
  if (options_.selection() == Select::kAgreement) check_judge(tracks.front(), options_.targets.teacher, allowance_);
}

void Trainer::check_phases() const {
  for (const PhaseOptions* phase : options_.schedule.phases()) {
    if (phase->epochs == 0) continue;
    const bool attention = phase->attention_term && !phase->freeze_student && !source_->shapes().attention.empty() &&
                           options_.loss.attention != AttentionForm::kGradientScaling;
    const bool output = phase->output_term && options_.targets.source != TargetKind::kNone;
    if (!output && !phase->feature_term && !attention && !phase->label_term)
      fail("schedule.", phase->name, " has nothing to learn from: its terms are off, or their targets not there",
           options_.labels == Labels::kNone ? " (labels = \"none\")" : "", "; switch a term on, or set schedule.",
           phase->name, ".epochs = 0");
    if (only_features(*phase) && source_->shapes().features.empty())
      fail("schedule.", phase->name,
           " learns from feature maps alone, but targets.features names no track; name one or set schedule.",
           phase->name, ".epochs = 0");
    if (source_->passes(only_features(*phase)).empty())
      fail("no pass is complete in every track that schedule.", phase->name,
           " needs; let vitrine-extract finish, or train without them");
  }
}

Tensors Trainer::state() {
  Tensors out;
  const auto add = [&out](const std::string& part, const auto& tensors) {
    for (const auto& [name, tensor] : tensors) out.emplace(part + "." + name, tensor);
  };
  add("model", state_dict(network_.module()));
  for (const auto& [name, module] : objective_->modules()) add(name, state_dict(*module));
  add("optimizer", optimizer_->state());
  if (average_) add("average", average_->state());
  if (scaler_) add("scaler", scaler_->state());
  return out;
}

void Trainer::save(std::uint64_t step, double seconds, double used_core_seconds) {
  std::map<std::string, std::string> tracks;
  for (const TrackInfo& track : source_->tracks()) tracks[track.name()] = track.json();
  save_checkpoint(options_.output,
                  {step, best_score_, seconds, used_core_seconds, meaningful_settings(options_), source_->plan().hash(),
                   tracks, allowance_.met(), other_pictures_before_ + batches_->other_pictures(), state()});
}

void Trainer::restore() {
  const std::optional<Checkpoint> checkpoint = load_checkpoint(options_.output);
  if (!checkpoint) return;
  check_same_settings(checkpoint->settings, meaningful_settings(options_), options_.output);
  if (checkpoint->plan_hash != source_->plan().hash())
    fail(options_.output, ": the checkpoint was made on the plan ", checkpoint->plan_hash, ", this run has ",
         source_->plan().hash(), "; resume with the same images and cache");
  check_resumed_tracks(checkpoint->tracks, source_->tracks(), options_.output, allowance_);
  for (const AllowedDifference& difference : checkpoint->allowed) allowance_.keep(difference);
  other_pictures_before_ = checkpoint->other_pictures;
  std::map<std::string, Tensors> parts;
  for (const auto& [name, tensor] : checkpoint->tensors) {
    const std::size_t dot = name.find('.');
    parts[name.substr(0, dot)].emplace(name.substr(dot + 1), tensor);
  }
  load_weights(network_.module(), parts["model"], options_.output);
  for (const auto& [name, module] : objective_->modules()) load_weights(*module, parts[name], options_.output);
  optimizer_->load_state(parts["optimizer"], options_.output);
  if (average_) average_->load(parts["average"], options_.output);
  if (scaler_) scaler_->load(parts["scaler"], options_.output);
  first_step_ = checkpoint->step;
  best_score_ = checkpoint->best_score;
  seconds_before_ = checkpoint->seconds;
  core_seconds_before_ = checkpoint->core_seconds;
  note(text("going on after step ", human_count(first_step_), " of ", human_count(steps_)));
}

void Trainer::enter_phase(const PhaseOptions& phase) {
  network_.train_mode(phase.freeze_batch_norm || phase.freeze_student);
  for (at::Tensor& parameter : network_.module().parameters()) parameter.requires_grad_(!phase.freeze_student);
  objective_->enter(phase);
}

bool Trainer::too_few(const Batch& batch) const {
  return batch.views() == 0 || (batch.views() == 1 && options_.micro_batch > 1);
}

Trainer::Stepped Trainer::step(const Batch& whole, const SchedulePoint& point, std::uint64_t number) {
  const PhaseOptions& phase = *point.phase;
  Batch batch = whole;
  for (std::size_t t = 0; t < batch.features.size(); ++t)
    batch.features[t] = with_noise(whole.features[t], options_.feature_noise, options_.seed, t, number);
  LossWeights weights = point.weights;
  if (options_.targets.source == TargetKind::kNone) weights.r = 0;  // labels are all there is
  if (options_.labels == Labels::kNone) weights.r = 1;              // there are none
  const auto mean = three_colours(options_.mean, "mean"), deviation = three_colours(options_.deviation, "deviation");
  const std::int64_t views = batch.views();
  Stepped stepped;
  stepped.loss = std::numeric_limits<double>::quiet_NaN();
  if (too_few(batch)) return stepped;
  optimizer_->zero_grad();
  std::int64_t each = 0;
  for (std::int64_t first = 0; first < views; first += each) {
    each = std::min<std::int64_t>(options_.micro_batch, views - first);
    if (each > 1 && views - first - each == 1) ++each;  // one view alone is no batch to BatchNorm
    const Batch micro = each == views ? batch : batch.rows(first, each);
    NetworkOutputs out;
    {
      const torch::AutoGradMode graph(!phase.freeze_student);
      const Autocast autocast(device_, arithmetic_type(options_.precision));
      out = network_.forward(normalise_pictures(micro.pictures, mean, deviation));
    }
    const double share = static_cast<double>(each) / static_cast<double>(views);
    LossTerms terms = objective_->terms(out, micro, phase);
    at::Tensor loss = combine(terms, options_.loss, weights);
    if (each < views) loss = loss * share;
    (scaler_ ? scaler_->scaled(loss) : loss).backward();
    stepped.terms.add(terms, share);
  }
  update(point.lr);
  if ((number + 1) % options_.log_every == 0 || number == first_step_) {
    stepped.loss = combine(stepped.terms, options_.loss, weights).item<double>();
    // Half precision may overflow while the scale is still falling; below 1 nothing is scaled up any more.
    if (!std::isfinite(stepped.loss) && (!scaler_ || scaler_->scale() < 1))
      fail("the loss is not finite at step ", number + 1, " (", phase.name, "); lower schedule.", phase.name,
           ".lr, or set clip_norm");
  }
  return stepped;
}

void Trainer::update(double lr) {
  const std::vector<at::Tensor> gradients = optimizer_->gradients();
  if (scaler_ && !scaler_->unscale(gradients)) return;
  if (options_.clip_norm > 0) {
    const at::Tensor norm = at::stack(at::_foreach_norm(gradients)).norm();
    at::_foreach_mul_(gradients, (options_.clip_norm / (norm + 1e-6)).clamp_max(1.0));
  }
  optimizer_->step(lr);
  if (average_) average_->update();
}

void Trainer::describe() const {
  const std::uint64_t views = std::uint64_t{source_->plan().groups_per_pass()} * source_->plan().options().group;
  const double epochs = options_.schedule.run_epochs();
  const std::size_t passes = source_->passes(false).size();
  const auto times = [](double sweeps, std::size_t stored) {
    return text(sweeps / static_cast<double>(stored), " times");
  };
  note(text(human_count(steps_), " steps of ", options_.batch, " views; ", passes, " passes of ", human_count(views),
            " views, so each view is seen ", times(epochs, passes),
            epochs > static_cast<double>(passes) ? "; each round over the passes takes them in another order" : ""));
  const std::size_t complete = source_->passes(true).size();
  for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i)
    if (const PhaseOptions& phase = *options_.schedule.phases()[i];
        phase.epochs > 0 && only_features(phase) && complete < passes)
      note(text("schedule.", phase.name, " uses the ", complete, " passes that have features, each view ",
                times(options_.schedule.phase_epochs(i), complete)));
  if (const std::string pairs = objective_->pairs(); !pairs.empty()) note(pairs);
  describe_labels(options_, *index_, classes_);
}

// What chooses the best checkpoint: the images, and for agreement what the teacher says about them.
struct Trainer::Validation {
  Evaluation images;
  std::optional<Agreement> agreement;
};

std::string Trainer::judge(const Validation& validation, TrainResult& result) {
  const Averaged averaged(average_.get());
  double score;
  std::string words;
  if (validation.agreement) {
    score = validation.agreement->run(network_, device_);
    result.agreement = score;
    words = text("agrees with the teacher on ", 100 * score, " %");
  } else {
    result.validation = validation.images.run(network_, device_);
    score = result.validation->top1;
    words = text("top-1 ", 100 * score, " %, top-5 ", 100 * result.validation->top5, " %");
  }
  add_left_out_of(validation.images);
  if (score > best_score_) {
    best_score_ = score;
    save_safetensors(std::filesystem::path(options_.output) / "best.safetensors", state_dict(network_.module()));
  }
  return words;
}

void Trainer::reestimate_batch_norm() {
  const torch::NoGradGuard no_grad;
  std::vector<torch::nn::BatchNorm2d> norms = network_.batch_norms();
  network_.train_mode(false);
  for (torch::nn::BatchNorm2d& norm : norms) {
    norm->reset_running_stats();
    norm->options.momentum(std::nullopt);  // the plain mean over all batches
  }
  batches_->start(0);
  const std::uint64_t count = std::min<std::uint64_t>(options_.batch_norm_batches, steps_);
  for (std::uint64_t i = 0; i < count; ++i) {
    const Autocast autocast(device_, arithmetic_type(options_.precision));
    const Batch batch = batches_->next();
    if (too_few(batch)) continue;
    network_.forward(normalise_pictures(batch.pictures, three_colours(options_.mean, "mean"),
                                        three_colours(options_.deviation, "deviation")));
  }
  batches_->stop();
}

void Trainer::finish(const Evaluation* test, TrainResult& result) {
  const Averaged averaged(average_.get());
  if (options_.batch_norm_batches > 0) reestimate_batch_norm();
  save_safetensors(std::filesystem::path(options_.output) / "final.safetensors", state_dict(network_.module()));
  if (test != nullptr) {
    result.test = test->run(network_, device_);
    add_left_out_of(*test);
  }
  write_summary(options_.output, result);
}

void Trainer::keep_left_out(const Evaluation* validation, const Evaluation* test) const {
  const ImageFolders folders = options_.folders();
  const std::filesystem::path list = std::filesystem::path(options_.output) / kLeftOutFile;
  const auto by_path = [folders](LeftOut entry) {
    entry.id = folders.path_of(entry.id);
    return entry;
  };
  std::vector<LeftOut> all = first_step_ > 0 ? read_left_out(list) : std::vector<LeftOut>();
  for (const LeftOut& entry : images_.left_out) all.push_back(by_path(entry));
  for (const LeftOut& entry : images_.bad->met()) all.push_back(by_path(entry));
  for (const Evaluation* images : {validation, test}) {
    if (images == nullptr) continue;
    const std::vector<LeftOut> left_out = images->left_out();
    if (!left_out.empty())
      note(text("left out of the ", images == test ? "test" : "validation", " images: ", counts_by_kind(left_out)));
    all.insert(all.end(), left_out.begin(), left_out.end());
  }
  write_left_out(list, std::move(all));
  images_.bad->on_new([by_path, tell = tell_and_list(list)](const LeftOut& entry) { tell(by_path(entry)); });
}

void Trainer::add_left_out_of(const Evaluation& images) const {
  const std::vector<LeftOut> left_out = images.left_out();
  if (left_out.empty()) return;
  const std::filesystem::path list = std::filesystem::path(options_.output) / kLeftOutFile;
  const std::size_t before = read_left_out(list).size();
  add_left_out(list, left_out);
  if (read_left_out(list).size() > before)
    note(text("left out of what is judged: ", counts_by_kind(left_out), "; ", kLeftOutFile, " names all"));
}

TrainResult Trainer::run(const std::atomic<bool>& stop) {
  at::set_num_threads(static_cast<int>(options_.threads));
  const std::vector<std::string>& classes = index_->classes;
  std::unique_ptr<Validation> validation;
  std::optional<Evaluation> test;
  if (options_.selection() == Select::kTop1)
    validation.reset(new Validation{{options_.validation, classes, classes_, size_, options_}, std::nullopt});
  if (options_.selection() == Select::kAgreement) {
    validation.reset(new Validation{{{options_.validation, {}, Labels::kNone}, size_, options_}, std::nullopt});
    validation->agreement.emplace(options_, validation->images, classes, classes_);
  }
  if (!options_.test.empty()) test.emplace(options_.test, classes, classes_, size_, options_);
  describe();
  std::filesystem::create_directories(options_.output);
  RunLog log(options_.output, first_step_);
  keep_left_out(validation ? &validation->images : nullptr, test ? &*test : nullptr);
  const Clock::time_point start = Clock::now();
  const double core_start = core_seconds();
  double waited = 0;
  TrainResult result;
  const auto seconds = [&] { return seconds_before_ + since(start); };
  const auto used = [&] { return core_seconds_before_ + core_seconds() - core_start; };
  const auto wait_share = [&] { return waited / std::max(since(start), 1e-9); };

  std::uint64_t number = first_step_;
  const std::uint64_t last = options_.max_steps > 0 ? std::min(options_.max_steps, steps_) : steps_;
  {
    if (number < last) batches_->start(number);
    Progress progress("train", "views", steps_ * options_.batch, first_step_ * options_.batch);
    std::string suffix;
    for (; number < last && !stop; ++number) {
      SchedulePoint point = phase_at(options_.schedule, number, steps_per_epoch_);
      if (options_.lr_batch > 0) point.lr *= static_cast<double>(options_.batch) / options_.lr_batch;
      const Clock::time_point asked = Clock::now();
      const Batch batch = batches_->next();
      waited += since(asked);
      enter_phase(*point.phase);
      const Stepped stepped = step(batch, point, number);
      if ((number + 1) % options_.log_every == 0) {
        LogLine line{number + 1, point, stepped.loss, stepped.terms, std::nullopt, 0, seconds(), wait_share(), used()};
        if (scaler_) line.scale = scaler_->scale(), line.skipped = scaler_->skipped();
        log.add(line);
        if (const Objective::Mapped& mapped = objective_->mapped(); mapped.weights.defined())
          log.add(number + 1, mapped);
        suffix = text(point.phase->name, ", loss ", stepped.loss);
      }
      progress.advance(options_.batch, suffix);
      const bool epoch_ends =
          (number + 1) % steps_per_epoch_ == 0 || number + 1 == steps_;  // the last may be part of one
      if (epoch_ends && validation && ((point.epoch + 1) % options_.eval_every == 0 || number + 1 == steps_))
        note(text("epoch ", point.epoch + 1, ", ", point.phase->name, ": ", judge(*validation, result)));
      const bool due = options_.checkpoint_every > 0 ? (number + 1) % options_.checkpoint_every == 0 : epoch_ends;
      if (due && number + 1 < last) save(number + 1, seconds(), used());
    }
    progress.finish();
    batches_->stop();
  }
  result.steps = number;
  result.finished = number == steps_;
  result.wall_seconds = seconds();
  result.core_seconds = used();
  result.wait_share = wait_share();
  result.images_seen = number * options_.batch;
  result.allowed = allowance_.met();
  if (const std::uint64_t others = other_pictures_before_ + batches_->other_pictures(); others > 0) {
    const std::uint32_t group = source_->plan().options().group;
    const std::string count = text(human_count(others), " of ", human_count((result.images_seen + group - 1) / group),
                                   " groups had a picture that is not the one that the teacher saw");
    note(count);
    result.allowed.push_back({word_of(Difference::kPictures), count});
  }
  if (batches_->left_out() > 0) {
    result.left_out_views = batches_->left_out();
    note(text(human_count(result.left_out_views), " views were left out: their pictures could not be read, when the ",
              "targets were made or now", images_.bad->met().empty() ? "" : text("; ", kLeftOutFile, " names them")));
  }
  if (scaler_) result.skipped_updates = scaler_->skipped();
  save(number, seconds(), used());
  if (result.finished) finish(test ? &*test : nullptr, result);
  return result;
}

}  // namespace vitrine
