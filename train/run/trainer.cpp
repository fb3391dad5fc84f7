#include <torch/torch.h>

#include "train/run/trainer.h"

#include <tbb/global_control.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/local_ranks.h"
#include "common/base/progress.h"
#include "common/config/config.h"
#include "common/image/scan_report.h"
#include "common/kernels/normalise.h"
#include "common/models/autocast.h"
#include "common/models/precision.h"
#include "common/models/device.h"
#include "common/models/load.h"
#include "common/models/torch_errors.h"
#include "train/run/checkpoint.h"
#include "train/evaluation/evaluate.h"
#include "train/run/run_folder.h"
#include "train/run/run_log.h"
#include "train/run/run_settings.h"
#include "train/data/training_images.h"

namespace vitrine {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What asks torch for a GPU before its library is loaded fixes the answer "none": every device that the options name is
// selected before anything is seeded.
at::Device select_devices(const TrainOptions& options) {
  const at::Device device = select_device(options.device);
  if (!options.targets.teacher.weights.empty()) select_device(options.targets.teacher.device);
  return device;
}

// Seeded at the last moment: a live teacher's construction draws weights too, and must not move the student's.
Network seeded_network(const TrainOptions& options, std::size_t classes, at::Device device,
                       const std::vector<std::string>& names) {
  torch::manual_seed(options.seed);
  return Network(options.model, static_cast<int>(classes), device, names);
}

std::string listed(const std::vector<std::uint32_t>& numbers) {
  constexpr std::size_t kShown = 8;
  std::string out;
  for (std::size_t i = 0; i < std::min(kShown, numbers.size()); ++i) out += text(i > 0 ? ", " : "", numbers[i]);
  return numbers.size() > kShown ? out + ", ..." : out;
}

// Those of `a` that `b` lacks; both ascend.
std::vector<std::uint32_t> without(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  std::vector<std::uint32_t> out;
  std::ranges::set_difference(a, b, std::back_inserter(out));
  return out;
}

const ComputeAdvice kStepAdvice{.what = "a training step",
                                .memory = "lower micro_batch, batch or size",
                                .shapes =
                                    "check batch, micro_batch and size: a BatchNorm in training needs more than one "
                                    "value per channel"};

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

Trainer::Trainer(const TrainOptions& options, const StopFlag& stop)
    : given_(options),
      options_(as_run(options)),
      allowance_(options.allow),
      device_(select_devices(options)),
      precision_(options.precision, device_, "precision"),
      resumed_(run_to_go_on_with(options_)),
      images_(scan_training_images(options, stop)),
      index_(images_.index),
      source_(make_target_source(options, index_, images_.bad, stop)),
      classes_(student_classes(*index_, source_->shapes())),
      network_(seeded_network(options, classes_, device_, index_->classes)) {
  const PlanOptions& plan = source_->plan().options();
  size_ = options_.size > 0 ? static_cast<int>(options_.size) : static_cast<int>(plan.image_size);
  views_ = std::make_unique<ViewMaker>(options_.folders(), index_, plan.image_size, images_.bad);
  three_colours(options_.mean, "mean");  // refused here, before anything is written
  three_colours(options_.deviation, "deviation");
  check_provenance();
  choose_algorithms(options_.deterministic, options_.targets.source != TargetKind::kTeacher, device_,
                    process_environment());
  if (options_.workers == 0) options_.workers = default_threads();
  if (options_.batch % options_.micro_batch != 0)
    fail("micro_batch = ", options_.micro_batch, " does not divide batch = ", options_.batch, "; choose one that does");

  choose_passes();
  batches_ = std::make_unique<Batches>(options_, *source_, *views_, size_, device_, passes_);
  steps_per_epoch_ = batches_->steps_per_epoch();
  steps_ = phase_bounds(options_.schedule, steps_per_epoch_).back();
  check_phases();
  check_batch_norm();
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
  if (resumed_) restore();
  state_.settings = meaningful_settings(options_);
  state_.plan_hash = source_->plan().hash();
  state_.passes = passes_;
  for (const TrackInfo& track : source_->tracks()) state_.tracks[track.name()] = track.json();
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
    if (needs_maps(*phase) && phase->feature_term && !attention && source_->shapes().features.empty())
      fail("schedule.", phase->name,
           " learns from feature maps alone, but targets.features names no track; name one or set schedule.",
           phase->name, ".epochs = 0");
    if ((needs_maps(*phase) ? passes_.with_maps : passes_.all).empty())
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

// BatchNorm cannot take statistics of a single value, which torch would say in a backtrace.
void Trainer::check_batch_norm() const {
  if (options_.model.kind != "resnet") return;
  const int side = (size_ + 31) / 32;  // of layer4
  const auto refuse = [&](const char* key, std::uint32_t views, const std::string& remedy) {
    if (side == 1 && views == 1)
      fail("size = ", size_, " leaves layer4 a single position, and ", key,
           " = 1 a single view: BatchNorm needs more than one value of a channel; set ", key,
           " = 2 or more, size = 33 or "
           "more, or ",
           remedy);
  };
  const bool whole = options_.micro_batch == options_.batch;
  for (const PhaseOptions* phase : options_.schedule.phases())
    if (phase->epochs > 0 && !phase->freeze_student && !phase->freeze_batch_norm)
      refuse(whole ? "batch" : "micro_batch", options_.micro_batch,
             text("schedule.", phase->name, ".freeze_batch_norm = true"));
  if (options_.batch_norm_batches > 0) refuse("batch", options_.batch, "batch_norm_batches = 0");
}

// Passes that came to a cache since the run began would give its epochs another order.
void Trainer::choose_passes() {
  if (resumed_ && resumed_->plan_hash != source_->plan().hash())
    fail(options_.output, ": the checkpoint was made on the plan ", resumed_->plan_hash, ", this run has ",
         source_->plan().hash(), "; go on with the same images and cache, or choose another output");
  passes_ = passes_of(*source_);
  if (options_.targets.source != TargetKind::kCache) return;  // they follow from the schedule
  if (!resumed_ || !resumed_->passes || *resumed_->passes == passes_) return;
  const PassLists& kept = *resumed_->passes;
  for (const std::vector<std::uint32_t>& lost :
       {without(kept.all, passes_.all), without(kept.with_maps, passes_.with_maps)})
    if (!lost.empty())
      fail(options_.output, ": the run uses pass ", listed(lost),
           ", which is no longer complete in its tracks; go on with the cache as it was, or choose another output");
  const std::vector<std::uint32_t> more = without(passes_.all, kept.all),
                                   maps = without(passes_.with_maps, kept.with_maps);
  const std::string words =
      more.empty() ? text("maps of the passes ", listed(maps)) : text("the passes ", listed(more));
  if (options_.new_passes) {
    resumed_->changes.push_back(text("from step ", resumed_->step + 1, " on with ", words, ", which are new"));
    note(text("going on with ", words, ", which are new; the order of views is another from here on"));
    return;
  }
  note(text(words,
            " have come since the run began; its epochs go on in their order without them (new_passes = true takes "
            "them)"));
  passes_ = kept;
}

WeightsRecord Trainer::record(std::uint64_t step) const {
  WeightsRecord out;
  out.model.kind = options_.model.kind;
  out.model.arch = options_.model.arch;
  out.model.width = options_.model.width;
  if (out.model.kind == "vit") out.model.vit = resolve(options_.model.vit);
  out.size = static_cast<std::uint32_t>(size_);
  out.mean = options_.mean;
  out.deviation = options_.deviation;
  out.crop_fraction = options_.crop_fraction;
  out.precision = options_.precision;
  out.classes = index_->classes;
  out.class_count = classes_;
  out.step = step;
  return out;
}

void Trainer::save(std::uint64_t step, bool to_judge) {
  state_.step = step;
  state_.to_judge = to_judge;
  state_.finished = false;
  state_.seconds = seconds();
  state_.core_seconds = used_core_seconds();
  state_.allowed = allowance_.met();
  state_.other_pictures = other_pictures_before_ + batches_->other_pictures();
  state_.left_out_views = left_out_before_ + batches_->left_out();
  save_checkpoint(options_.output, state_, state(), record(step).metadata());
  saved_ = true;
}

void Trainer::restore() {
  check_resumed_tracks(resumed_->tracks, source_->tracks(), options_.output, allowance_);
  for (const AllowedDifference& difference : resumed_->allowed) allowance_.keep(difference);
  other_pictures_before_ = resumed_->other_pictures;
  left_out_before_ = resumed_->left_out_views;
  std::map<std::string, Tensors> parts;
  for (const auto& [name, tensor] : load_checkpoint_tensors(options_.output, *resumed_)) {
    const std::size_t dot = name.find('.');
    parts[name.substr(0, dot)].emplace(name.substr(dot + 1), tensor);
  }
  load_weights(network_.module(), parts["model"], options_.output);
  for (const auto& [name, module] : objective_->modules()) load_weights(*module, parts[name], options_.output);
  optimizer_->load_state(parts["optimizer"], options_.output);
  if (average_) average_->load(parts["average"], options_.output);
  if (scaler_) scaler_->load(parts["scaler"], options_.output);
  first_step_ = resumed_->step;
  seconds_before_ = resumed_->seconds;
  core_seconds_before_ = resumed_->core_seconds;
  state_ = *resumed_;
  saved_ = true;
  note_changed_length();
}

void Trainer::note_changed_length() {
  TrainOptions strict = options_;
  strict.extend = false;
  const std::vector<SettingDifference> differences = settings_differences(resumed_->settings, strict);
  if (steps_ < first_step_)
    fail(options_.output, ": has made ", human_count(first_step_), " steps, and the schedule is now ",
         human_count(steps_), " long (", words_of(differences), "); make it longer, or choose another output");
  if (differences.empty() || steps_ == first_step_) return;
  state_.changes.push_back(text("from step ", first_step_ + 1, " on: ", words_of(differences)));
  note(text("from step ", human_count(first_step_ + 1), " on the schedule is ", words_of(differences), "; it is ",
            human_count(steps_), " steps long, and goes on in ",
            phase_at(options_.schedule, first_step_, steps_per_epoch_).phase->name));
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
      const Autocast autocast(device_, compute_type(options_.precision));
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
  if (resumed_) note(text("going on after step ", human_count(first_step_), " of ", human_count(steps_)));
  const std::uint64_t views = std::uint64_t{source_->plan().groups_per_pass()} * source_->plan().options().group;
  const double epochs = options_.schedule.run_epochs();
  const std::size_t passes = passes_.all.size();
  const auto times = [](double sweeps, std::size_t stored) {
    return text(sweeps / static_cast<double>(stored), " times");
  };
  note(text(human_count(steps_), " steps of ", options_.batch, " views; ", passes, " passes of ", human_count(views),
            " views, so each view is seen ", times(epochs, passes),
            epochs > static_cast<double>(passes) ? "; each round over the passes takes them in another order" : ""));
  const std::size_t complete = passes_.with_maps.size();
  for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i)
    if (const PhaseOptions& phase = *options_.schedule.phases()[i];
        phase.epochs > 0 && needs_maps(phase) && complete < passes)
      note(text("schedule.", phase.name, " uses the ", complete, " passes that have maps, each view ",
                times(options_.schedule.phase_epochs(i), complete)));
  describe_features();
  describe_labels(options_, *index_, classes_);
}

// Which stage is taught follows from the size where nothing else is said, and for how long from the cache.
void Trainer::describe_features() const {
  const auto pairs = objective_->pairs();
  std::string words;
  for (const auto& [track, stage] : pairs)
    words += text(words.empty() ? "" : ", ", track, " meets the student at layer", stage);
  const bool by_size = options_.transformer.stage == 0 && options_.transformer.stages.empty();
  if (!pairs.empty())
    note(text(words, by_size ? text(" (chosen for size = ", size_,
                                    "; another size may take another layer, transformer.stage "
                                    "fixes it)")
                             : ""));
  const Batches::FeatureSteps steps = batches_->feature_steps();
  if (steps.lacking == 0) return;
  const auto epochs = [&](std::uint64_t some) {
    return static_cast<double>(some) / static_cast<double>(steps_per_epoch_);
  };
  note(text("warning: the feature term is off in ", human_count(steps.lacking), " of the ", human_count(steps.wanted),
            " steps that ask for it (", epochs(steps.lacking), " of ", epochs(steps.wanted),
            " epochs), since the passes ", listed(without(passes_.all, passes_.with_maps)),
            " lack feature or attention maps; extract them for these passes too, or count on it"));
}

// What chooses the best checkpoint: the images, and for agreement what the teacher says about them.
struct Trainer::Validation {
  Evaluation images;
  std::optional<Agreement> agreement;
};

void Trainer::judge(const Validation& validation, const StopFlag& stop) {
  const Averaged averaged(average_.get());
  double score;
  std::string words;
  if (validation.agreement) {
    score = validation.agreement->run(network_, device_, stop);
    state_.agreement = score;
    words = text("agrees with the teacher on ", 100 * score, " %");
  } else {
    state_.validation = validation.images.run(network_, device_, stop);
    score = state_.validation->top1;
    words = text("top-1 ", 100 * score, " %, top-5 ", 100 * state_.validation->top5, " %");
  }
  add_left_out_of(validation.images);
  const std::uint64_t epoch = (state_.step - 1) / steps_per_epoch_ + 1;
  if (score > state_.best.score) {
    state_.best = {validation.agreement ? "agreement" : "top1", score, state_.step, epoch};
    WeightsRecord best = record(state_.step);
    best.selection = state_.best.chosen_by;
    best.score = score;
    save_safetensors(std::filesystem::path(options_.output) / "best.safetensors", state_dict(network_.module()),
                     best.metadata());
  }
  state_.to_judge = false;
  update_checkpoint(options_.output, state_);
  note(text("epoch ", epoch, ", ", phase_at(options_.schedule, state_.step - 1, steps_per_epoch_).phase->name, ": ",
            words, state_.best.step == state_.step ? ", the best so far" : ""));
}

void Trainer::reestimate_batch_norm(const StopFlag& stop) {
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
    throw_if_stopped(stop, "while BatchNorm's statistics were taken anew");
    const Autocast autocast(device_, compute_type(options_.precision));
    const Batch batch = batches_->next();
    if (too_few(batch) || (batch.views() == 1 && options_.batch > 1)) continue;
    network_.forward(normalise_pictures(batch.pictures, three_colours(options_.mean, "mean"),
                                        three_colours(options_.deviation, "deviation")));
  }
  batches_->stop();
}

void Trainer::finish(const Evaluation* test, TrainResult& result, const StopFlag& stop) {
  const Averaged averaged(average_.get());
  const std::filesystem::path output = options_.output;
  if (options_.batch_norm_batches > 0) with_torch_errors(kStepAdvice, [&] { reestimate_batch_norm(stop); });
  save_safetensors(output / "final.safetensors", state_dict(network_.module()), record(steps_).metadata());
  if (test != nullptr) {
    result.test = test->run(network_, device_, stop);
    add_left_out_of(*test);
  }
  write_summary(output, result);
  state_.finished = true;
  update_checkpoint(output, state_);
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

// Makes the directory ready, which until here is as it was.
std::unique_ptr<RunLock> Trainer::begin(const Validation* validation) {
  const std::filesystem::path output = options_.output;
  if (options_.restart && holds_run(output)) {
    { const RunLock nobody_trains_there(output); }
    note(text(options_.output, ": the run that was there is now ", move_aside(output, "old").string()));
  }
  make_directories(output);
  auto lock = std::make_unique<RunLock>(output);
  const std::optional<Checkpoint> there = read_checkpoint(output);
  if ((there ? there->tensors_sha256 : "") != (resumed_ ? resumed_->tensors_sha256 : ""))
    fail(options_.output, ": another process has trained this run meanwhile; run the same command again");
  remove_abandoned(output);
  TrainOptions again = given_;
  again.restart = false;
  publish(output / "config.toml", config_as_toml(again));
  if (resumed_ && resumed_->finished && steps_ > first_step_) {  // a longer run begins: the shorter one's end is kept
    const std::pair<const char*, std::string> ends[] = {
        {"final.safetensors", text("final-", first_step_, ".safetensors")},
        {"summary.json", text("summary-", first_step_, ".json")}};
    for (const auto& [name, kept] : ends)
      if (path_exists(output / name) && !path_exists(output / kept)) rename_path(output / name, output / kept);
    state_.finished = false;
    update_checkpoint(output, state_);
  }
  if (validation != nullptr) {
    const std::string images = validation->images.index().hash();
    if (state_.best.there() && !state_.validation_images.empty() && state_.validation_images != images) {
      const std::filesystem::path best = output / "best.safetensors";
      note(text(options_.validation,
                ": holds other images than those that chose the best weights so far; the best is chosen "
                "anew",
                path_exists(best) ? ", and the old one is now " + move_aside(best, "old").string() : ""));
      state_.best = {};
    }
    state_.validation_images = images;
  }
  if (!resumed_) save(0, false);
  return lock;
}

std::optional<TrainResult> finished_run(const TrainOptions& options) {
  TrainOptions strict = as_run(options);
  strict.extend = false;
  if (strict.output.empty() || strict.restart || !holds_run(strict.output)) return std::nullopt;
  const std::optional<Checkpoint> run = read_checkpoint(strict.output);
  if (!run || !run->finished || !settings_differences(run->settings, strict).empty()) return std::nullopt;
  std::optional<TrainResult> result = read_summary(strict.output);
  if (!result || result->steps != run->step) return std::nullopt;
  result->already_finished = true;
  result->validation = run->validation;
  result->agreement = run->agreement;
  result->best = run->best;
  return result;
}

double Trainer::seconds() const {
  return seconds_before_ + since(start_);
}

double Trainer::used_core_seconds() const {
  return core_seconds_before_ + core_seconds() - core_start_;
}

std::unique_ptr<Trainer::Validation> Trainer::open_validation(const ModelClasses& classes, const StopFlag& stop) const {
  if (options_.selection() == Select::kTop1)
    return std::unique_ptr<Validation>(
        new Validation{{options_.validation, classes, size_, options_, stop}, std::nullopt});
  if (options_.selection() != Select::kAgreement) return nullptr;
  std::unique_ptr<Validation> out(
      new Validation{{{options_.validation, {}, Labels::kNone}, size_, options_, stop}, std::nullopt});
  out->agreement.emplace(options_, out->images, classes.names, classes_, stop);
  return out;
}

TrainResult Trainer::result_after(std::uint64_t steps, double wait_share) const {
  TrainResult result;
  result.steps = steps;
  result.wall_seconds = seconds();
  result.core_seconds = used_core_seconds();
  result.wait_share = wait_share;
  result.images_seen = steps * options_.batch;
  result.size = static_cast<std::uint32_t>(size_);
  result.stages = objective_->pairs();
  result.validation = state_.validation;
  result.agreement = state_.agreement;
  result.best = state_.best;
  result.changes = state_.changes;
  result.allowed = allowance_.met();
  if (const std::uint64_t others = other_pictures_before_ + batches_->other_pictures(); others > 0) {
    const std::uint32_t group = source_->plan().options().group;
    const std::string count = text(human_count(others), " of ", human_count((result.images_seen + group - 1) / group),
                                   " groups had a picture that is not the one that the teacher saw");
    note(count);
    result.allowed.push_back({word_of(Difference::kPictures), count});
  }
  result.left_out_views = left_out_before_ + batches_->left_out();
  if (result.left_out_views > 0) {
    note(text(human_count(result.left_out_views), " views were left out: their pictures could not be read, when the ",
              "targets were made or now", images_.bad->met().empty() ? "" : text("; ", kLeftOutFile, " names them")));
  }
  if (scaler_) result.skipped_updates = scaler_->skipped();
  return result;
}

// Returns the number of steps done, which is `last` unless it was stopped.
std::uint64_t Trainer::train_to(std::uint64_t last, const Validation* validation, RunLog& log, const StopFlag& stop) {
  std::uint64_t number = first_step_;
  if (number < last) batches_->start(number);
  Progress progress("train", "views", steps_ * options_.batch, first_step_ * options_.batch);
  std::string suffix;
  while (number < last && !stop) {
    SchedulePoint point = phase_at(options_.schedule, number, steps_per_epoch_);
    if (options_.lr_batch > 0) point.lr *= static_cast<double>(options_.batch) / options_.lr_batch;
    const Batch batch = with_torch_errors(kStepAdvice, [&] { return batches_->next(); });
    enter_phase(*point.phase);
    const Stepped stepped = with_torch_errors(kStepAdvice, [&] { return step(batch, point, number); });
    saved_ = false;
    ++number;
    if (number % options_.log_every == 0) {
      LogLine line;
      line.step = number;
      line.point = point;
      line.loss = stepped.loss;
      line.terms = stepped.terms;
      line.seconds = seconds();
      line.wait_share = batches_->waited() / std::max(since(start_), 1e-9);
      line.core_seconds = used_core_seconds();
      if (scaler_) line.scale = scaler_->scale(), line.skipped = scaler_->skipped();
      log.add(line);
      if (const Objective::Mapped& mapped = objective_->mapped(); mapped.weights.defined()) log.add(number, mapped);
      suffix = text(point.phase->name, ", loss ", stepped.loss);
    }
    progress.advance(options_.batch, suffix);
    const bool epoch_ends = number % steps_per_epoch_ == 0 || number == steps_;  // the last may be part of one
    const bool to_judge =
        epoch_ends && validation != nullptr && ((point.epoch + 1) % options_.eval_every == 0 || number == steps_);
    const bool due = options_.checkpoint_every > 0 ? number % options_.checkpoint_every == 0 : epoch_ends;
    // Before it is judged: a validation that is stopped is then made again, and no step is lost.
    if (due || to_judge || number == last) save(number, to_judge);
    if (to_judge && !judged(*validation, stop)) break;
  }
  progress.finish();
  batches_->stop();
  if (!saved_) save(number, false);
  return number;
}

// Whether the validation that is due was made to its end.
bool Trainer::judged(const Validation& validation, const StopFlag& stop) try {
  judge(validation, stop);
  return true;
} catch (const Stopped&) {
  return false;
}

TrainResult Trainer::run(const StopFlag& stop) {
  if (resumed_ && first_step_ == steps_)
    if (std::optional<TrainResult> before = finished_run(given_)) return *before;
  at::set_num_threads(static_cast<int>(options_.threads > 0 ? options_.threads : default_threads()));
  // More workers than cores are allowed: they wait for slow disks.
  const std::size_t usual = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                    std::max<std::size_t>(usual, options_.workers));
  const ModelClasses classes{index_->classes, classes_, "the student"};
  const std::unique_ptr<Validation> validation = open_validation(classes, stop);
  std::optional<Evaluation> test;
  if (!options_.test.empty()) test.emplace(options_.test, classes, size_, options_, stop);
  describe();
  start_ = Clock::now();
  core_start_ = core_seconds();
  const std::unique_ptr<RunLock> lock = begin(validation.get());
  RunLog log(options_.output, first_step_);
  keep_left_out(validation.get() != nullptr ? &validation->images : nullptr, test ? &*test : nullptr);
  std::uint64_t number = first_step_;
  const std::uint64_t last = options_.max_steps > 0 ? std::min(options_.max_steps, steps_) : steps_;
  if (!(state_.to_judge && validation) || judged(*validation, stop))
    number = train_to(last, validation.get(), log, stop);
  TrainResult result = result_after(number, batches_->waited() / std::max(since(start_), 1e-9));
  if (number < steps_ || (state_.to_judge && validation)) return result;
  try {
    finish(test ? &*test : nullptr, result, stop);
    result.finished = true;
  } catch (const Stopped&) {
    batches_->stop();
  }
  return result;
}

}  // namespace vitrine
