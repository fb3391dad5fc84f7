#include "train/run/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/cuda.h>

#include <tbb/global_control.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/local_ranks.h"
#include "common/base/progress.h"
#include "common/image/outside_images.h"
#include "common/models/device.h"
#include "common/models/torch_errors.h"
#include "common/models/weights/load.h"
#include "train/run/baseline.h"
#include "train/run/checks.h"
#include "train/run/codec_errors.h"
#include "train/run/describe.h"
#include "train/run/evaluator.h"
#include "train/run/finished_run.h"
#include "train/run/labels.h"
#include "train/run/left_out_list.h"
#include "train/run/monitor.h"
#include "train/run/run_folder.h"
#include "train/run/run_settings.h"
#include "train/run/stored_student.h"
#include "train/run/training_views.h"
#include "train/run_files/run_files.h"
#include "train/targets/make_source.h"

namespace vitrine {
namespace {

// Torch caches "no GPU" if asked before its CUDA library is loaded, so every device that the options name is selected
// before anything is seeded.
at::Device select_devices(const TrainOptions& options) {
  const at::Device device = select_device(options.device);
  if (!options.targets.teacher.file().empty()) select_device(options.targets.teacher.device);
  return device;
}

TrainingImages images_of(const TrainOptions& options, const StopFlag& stop) {
  check_labels(options);
  check_outside_images({"output", options.output}, {{"images", options.images},
                                                    {"unlabelled", options.unlabelled},
                                                    {"validation", options.validation},
                                                    {"test", options.test}});
  return scan_training_images(options.image_options(), stop);
}

// A resumed run's teacher was checked when it began.
SourceSettings source_settings_of(const TrainOptions& options, bool resumed, Allowance& allowance) {
  SourceSettings out = options.source_settings();
  if (!resumed)
    out.on_failed_check = [&allowance](const std::string& objection) {
      allowance.meet(Difference::kChance, objection, "give a teacher of these classes");
    };
  return out;
}

int size_of(const TrainOptions& options, const TargetSource& source) {
  return static_cast<int>(options.size > 0 ? options.size : source.plan().options().image_size);
}

// Seeds just before the student is made: constructing a live teacher draws random weights too, and must not change the
// student's. A resumed run's weights are its checkpoint's, not those that it started from.
Student seeded_student(const TrainOptions& options, bool resumed, int size, std::size_t classes, at::Device device,
                       const ImageIndex& index) {
  StudentOptions student = options.student_options(size);
  if (resumed) student.model.weights.clear();
  student.decoding = index.decoding;
  at::manual_seed(options.seed);
  return Student(student, static_cast<int>(classes), device, index.classes);
}

bool same_weights(const Tensors& stored, const Tensors& now) {
  return stored.size() == now.size() && std::ranges::all_of(now, [&](const auto& entry) {
           const auto found = stored.find(entry.first);
           return found != stored.end() && at::equal(found->second, entry.second.cpu());
         });
}

StepOptions step_options(const TrainOptions& options) {
  StepOptions out{.micro_batch = options.micro_batch,
                  .seed = options.seed,
                  .feature_noise = options.feature_noise,
                  .clip_norm = options.clip_norm,
                  .loss = options.loss,
                  .optimizer = options.optimizer};
  if (options.targets.source == TargetKind::kNone) out.r = 0;  // only labels
  if (options.labels == Labels::kNone) out.r = 1;              // no labels
  if (options.precision == "fp16") out.scaler = options.scaler;
  return out;
}

}  // namespace

Trainer::Trainer(const TrainOptions& options, const StopFlag& stop)
    : given_(options),
      options_(as_run(options)),
      allowance_(options.allow),
      device_(select_devices(options)),
      precision_(options.precision, device_, "precision"),
      resumed_(run_to_resume(options_)),
      images_(images_of(options_, stop)),
      source_(make_source(source_settings_of(options_, resumed_.has_value(), allowance_), images_.index, images_.bad,
                          stop)),
      size_(size_of(options_, *source_)),
      classes_(student_classes(*images_.index, source_->shapes())),
      student_(seeded_student(options_, resumed_.has_value(), size_, classes_, device_, *images_.index)),
      views_(options_.folders(), images_.index, source_->plan().options().image_size, images_.bad) {
  options_.decoding = images_.index->decoding;  // with a cache, its own
  check_provenance();
  choose_algorithms(options_.deterministic, options_.targets.source != TargetKind::kTeacher, device_,
                    process_environment());
  if (options_.workers == 0) options_.workers = default_threads();
  if (options_.batch % options_.micro_batch != 0)
    fail("micro_batch = ", options_.micro_batch, " does not divide batch = ", options_.batch, "; choose one that does");

  passes_ = choose_passes(options_, *source_, resumed_);
  batches_ = std::make_unique<Batches>(options_.batch_options(size_), *source_, views_, device_, passes_);
  steps_ = phase_bounds(options_.schedule, batches_->steps_per_epoch()).back();
  check_phases(options_, source_->shapes(), passes_);
  check_batch_norm(options_, size_);
  check_vit_size(options_.model, size_);
  objective_ = std::make_unique<Objective>(options_.objective_options(), source_->shapes(), student_.network().widths(),
                                           static_cast<int>(classes_), size_, device_);
  step_ = std::make_unique<Step>(step_options(options_), student_, *objective_);
  if (resumed_) restore();
  state_.checkpoint.settings = meaningful_settings(options_, resumed_ ? resumed_->settings : "");
  state_.checkpoint.plan_hash = source_->plan().hash();
  state_.checkpoint.passes = passes_;
  state_.checkpoint.tracks.clear();  // a resumed run's may be gone by now
  for (const auto& [name, track] : by_name(source_->tracks())) state_.checkpoint.tracks[name] = track.json();
  state_.checkpoint.class_names = source_->matched_names();
}

void Trainer::check_provenance() {
  if (options_.targets.source != TargetKind::kCache)
    return;  // a live teacher makes all targets and is the one used for agreement
  const std::vector<TrackInfo> tracks = source_->tracks();
  check_tracks(options_.targets.cache, tracks, cache_teachers(options_.targets).size() > 1, allowance_);
  if (options_.selection() == Select::kAgreement)
    options_.targets.teacher = check_evaluation_teacher(tracks.front(), options_.targets.teacher, allowance_);
}

Tensors Trainer::state() {
  return tensors_of(learners());
}

void Trainer::restore() {
  check_resumed_tracks(resumed_->tracks, source_->tracks(), options_.output, allowance_);
  check_resumed_classes(resumed_->class_names, source_->matched_names(), options_.output, allowance_);
  state_.restore(options_.output, *resumed_, learners(), allowance_);
  note_changed_length();
}

void Trainer::note_changed_length() {
  TrainOptions strict = options_;
  strict.extend = false;
  if (options_.targets.source == TargetKind::kCache) strict.decoding = given_.decoding;
  const std::vector<SettingDifference> differences = settings_differences(resumed_->settings, strict);
  const std::uint64_t done = state_.first_step;
  if (steps_ < done)
    fail(options_.output, ": has made ", human_count(done), " steps, and the schedule is now ", human_count(steps_),
         " long (", words_of(differences), "); make it longer, or choose another output");
  if (differences.empty() || steps_ == done) return;
  state_.checkpoint.changes.push_back(text("from step ", done + 1, " on: ", words_of(differences)));
  note(text("from step ", human_count(done + 1), " on the schedule is ", words_of(differences), "; it is ",
            human_count(steps_), " steps long, and resumes in ", point_at(done).phase->name));
}

void Trainer::describe() const {
  if (resumed_) note(text("resuming after step ", human_count(state_.first_step), " of ", human_count(steps_)));
  describe_run(options_, source_->plan(), passes_, steps_);
  describe_features(options_, *objective_, *batches_, passes_, size_);
  describe_labels(options_, *images_.index, source_->tracks(), classes_);
  describe_baseline(given_, options_);
}

// Writes what the directory must hold before the first step.
void Trainer::begin(const Evaluator& evaluator) {
  if (resumed_ && resumed_->finished && steps_ > state_.first_step) {  // a finished run is extended
    keep_earlier_end(options_.output, state_.first_step);
    state_.checkpoint.finished = false;
    update_checkpoint(options_.output, state_.checkpoint);
  }
  evaluator.begin(state_.checkpoint);
  // No step is left that would be followed by a validation on images that are new.
  if (resumed_ && state_.first_step == steps_ && evaluator.validation() != nullptr && !state_.checkpoint.validation &&
      !state_.checkpoint.agreement)
    state_.checkpoint.validation_due = true;
  if (!resumed_) save(0, false);
  keep_left_out(images_, options_.folders(), options_.output, state_.first_step > 0, evaluator.validation(),
                evaluator.test());
}

// What has diverged is neither saved nor exported: the loss is read at logged steps only, and a run could not resume.
void Trainer::check_weights(std::uint64_t step) {
  if (step == 0) return;
  const PhaseOptions& phase = *point_at(step - 1).phase;
  check_finite(student_.weights(), step, phase);
  for (const auto& [name, module] : objective_->modules()) check_finite(state_dict(*module), step, phase);
}

void Trainer::save(std::uint64_t step, bool validation_due) {
  check_weights(step);
  state_.save(options_.output, step, validation_due, learners(), *batches_, allowance_);
}

// The next batch; throws Error for pictures that the teacher did not see, unless allowed.
Batch Trainer::next_batch() {
  Batch batch = batches_->next();
  if (batch.other_picture.empty() || other_picture_met_) return batch;
  allowance_.require(Difference::kPictures, batch.other_picture,
                     "extract again on this machine, train with those versions");
  note(text(batch.other_picture, "; continuing, since allow has ", word_of(Difference::kPictures),
            "; all such groups are counted"));
  other_picture_met_ = true;
  return batch;
}

SchedulePoint Trainer::point_at(std::uint64_t step) const {
  SchedulePoint point = phase_at(options_.schedule, step, batches_->steps_per_epoch());
  point.lr *= options_.lr_factor();
  return point;
}

// The training loop. Returns the number of steps done: `last` unless stopped.
std::uint64_t Trainer::train(std::uint64_t last, const Evaluator& evaluator, RunLog& log, const StopFlag& stop) {
  std::uint64_t number = state_.first_step;
  if (number < last) batches_->start(number);
  const std::uint64_t epoch_steps = batches_->steps_per_epoch();
  Monitor monitor({.steps = steps_,
                   .steps_per_epoch = epoch_steps,
                   .batch = options_.batch,
                   .passes = passes_.all.size(),
                   .temperature = options_.loss.temperature,
                   .lr_factor = options_.lr_factor(),
                   .comparable = !source_->shapes().topk && source_->shapes().columns.empty()},
                  log, number);
  step_->measure_into(&monitor.statistics());
  while (number < last && !stop) {
    const SchedulePoint point = point_at(number);
    const bool to_log = (number + 1) % options_.log_every == 0;
    monitor.before(point, [&] { return step_->norms(); });
    const Step::Result result = with_torch_errors(
        kStepAdvice, [&] { return step_->make(next_batch(), point, number, to_log || number == state_.first_step); });
    state_.saved = false;
    ++number;
    monitor.after(point, state_.wait_share(*batches_));
    if (to_log) {
      monitor.add_line(number, point, result.terms, metrics_of(point, result));
      if (const Objective::Mapped& mapped = objective_->mapped(); mapped.weights.defined()) log.add(number, mapped);
    }
    const bool phase_ends = number == steps_ || point_at(number).phase != point.phase;
    const bool epoch_ends = number % epoch_steps == 0 || number == steps_;  // the last epoch may be incomplete
    std::string learned;                                                    // for the epoch's line
    if (epoch_ends || phase_ends) learned = monitor.conclude(number, point, phase_ends, step_->norms());
    const bool validation_due = epoch_ends && evaluator.validation() != nullptr &&
                                ((point.epoch + 1) % options_.eval_every == 0 || number == steps_);
    const bool due = options_.checkpoint_every > 0 ? number % options_.checkpoint_every == 0 : epoch_ends;
    // Before the validation, so that an interrupted one is repeated and no step is lost.
    if (due || validation_due || number == last) {
      if (device_.is_cuda()) torch::cuda::synchronize(device_.index());
      monitor.pause();
      save(number, validation_due);
    }
    if (validation_due && !evaluator.validate(student_, state_.checkpoint, epoch_steps, log, stop, learned)) break;
    if (!validation_due && !learned.empty())
      note(text("epoch ", point.epoch + 1, ", ", point.phase->name, ": ", learned));
  }
  step_->measure_into(nullptr);
  monitor.finish();
  batches_->stop();
  if (!state_.saved) save(number, false);
  return number;
}

void Trainer::add_first_views(EventFile& events) const {
  StreamOptions stream;
  stream.size = size_;
  stream.seed = options_.seed;
  stream.augment = options_.augment;
  const std::vector<std::uint32_t>& passes = passes_.with_maps.empty() ? passes_.all : passes_.with_maps;
  add_training_views(events, *source_, views_, stream, passes.front());
  if (options_.targets.source == TargetKind::kCache)
    add_codec_errors(events, options_.targets.cache, source_->tracks(), source_->plan(), passes_.all);
}

StepMetrics Trainer::metrics_of(const SchedulePoint& point, const Step::Result& result) const {
  StepMetrics out;
  out.lr = point.lr;
  out.loss = result.loss;
  out.weights = result.weights;
  out.gradient_norm = result.gradient_norm;
  out.seconds = state_.seconds();
  out.wait_share = state_.wait_share(*batches_);
  out.core_seconds = state_.core_seconds();
  if (const GradScaler* scaler = step_->scaler()) out.scale = scaler->scale(), out.skipped = scaler->skipped();
  return out;
}

TrainResult Trainer::result_after(std::uint64_t steps) const {
  TrainResult result;
  result.steps = steps;
  result.wall_seconds = state_.seconds();
  result.core_seconds = state_.core_seconds();
  result.wait_share = state_.wait_share(*batches_);
  result.images_seen = steps * options_.batch;
  result.size = static_cast<std::uint32_t>(size_);
  result.stages = objective_->pairs();
  result.take_scores(state_.checkpoint);
  result.changes = state_.checkpoint.changes;
  result.allowed = allowance_.met();
  if (const std::uint64_t others = state_.other_pictures(*batches_); others > 0) {
    const std::uint32_t group = source_->plan().options().group;
    const std::string count = text(human_count(others), " of ", human_count((result.images_seen + group - 1) / group),
                                   " groups had a picture that is not the one that the teacher saw");
    note(count);
    result.allowed.push_back({word_of(Difference::kPictures), count});
  }
  result.left_out_views = state_.left_out(*batches_);
  if (result.left_out_views > 0) {
    note(text(counted(result.left_out_views, "view was", "views were"),
              " left out: pictures could not be read, when the targets were made or now",
              images_.bad->met().empty() ? "" : text("; ", kLeftOutFile, " names them")));
  }
  if (const GradScaler* scaler = step_->scaler()) result.skipped_updates = scaler->skipped();
  return result;
}

// Re-estimates BatchNorm's statistics for the final weights, over the micro-batches of the run's first batches.
void Trainer::reestimate_batch_norm(const StopFlag& stop) {
  batches_->start(0);
  std::uint64_t left = std::min<std::uint64_t>(options_.batch_norm_batches, steps_);
  std::vector<Batch> parts;  // of the present batch
  std::size_t used = 0;
  student_.reestimate_batch_norm([&]() -> at::Tensor {
    for (; used == parts.size() && left > 0; --left) {
      throw_if_stopped(stop, "while BatchNorm's statistics were re-estimated");
      const Batch batch = next_batch();
      if (step_->too_few(batch)) continue;
      parts = batch.parts(options_.micro_batch);
      used = 0;
    }
    return used < parts.size() ? parts[used++].pictures : at::Tensor();
  });
  batches_->stop();
}

// The figures of the weights that are used, and beside them those of the last ones, where these are others.
void Trainer::evaluate_weights(const Evaluator& evaluator, TrainResult& result, const StopFlag& stop) {
  const auto evaluate = [&](const Evaluation* images, Network& network) -> std::optional<Accuracy> {
    if (images == nullptr) return std::nullopt;
    const Accuracy accuracy = images->run(network, device_, stop);
    add_left_out_of(*images, options_.output);
    return accuracy;
  };
  if (options_.batch_norm_batches > 0) {  // the last validation was with other statistics
    evaluator.score_last(student_, state_.checkpoint, stop);
    result.take_scores(state_.checkpoint);
  }
  if (path_exists(RunFiles(options_.output).best_weights())) {
    const StoredStudent best = read_student(options_.output, WeightsChoice::kBest);
    result.of_best = !same_weights(best.weights, student_.weights());
    if (result.of_best) {
      Network network = network_of(best, device_);
      result.validation.reset(), result.agreement.reset();
      result.take_scores(state_.checkpoint);
      if (!result.validation && result.last_validation)  // not recorded by an earlier version
        result.validation = evaluate(evaluator.validation(), network);
      result.test = evaluate(evaluator.test(), network);
    }
  }
  (result.of_best ? result.last_test : result.test) = evaluate(evaluator.test(), student_.network());
  if (const Evaluation* images = evaluator.validation())
    result.validation_images = {place_of(*options_.validation_folders()), images->index().hash()};
  if (const Evaluation* images = evaluator.test())
    result.test_images = {place_of(options_.test), images->index().hash()};
}

// Final weights, test and summary. The next process repeats what `stop` interrupts.
void Trainer::finish(const Evaluator& evaluator, TrainResult& result, RunLog& log, const StopFlag& stop) try {
  const Student::Averaged averaged(student_);
  const std::filesystem::path output = options_.output;
  if (options_.batch_norm_batches > 0) with_torch_errors(kStepAdvice, [&] { reestimate_batch_norm(stop); });
  check_weights(steps_);
  save_safetensors(RunFiles(output).last_weights(), student_.weights(), student_.record(steps_).metadata());
  evaluate_weights(evaluator, result, stop);
  write_summary(output, result);
  EndMetrics end{.step = steps_, .seconds = result.wall_seconds, .top1 = {}, .on = {}, .last_top1 = {}};
  if (const std::optional<Accuracy>& accuracy = result.accuracy())
    end.top1 = accuracy->top1, end.on = result.test ? "test" : "validation";
  if (const std::optional<Accuracy>& last = result.last_accuracy()) end.last_top1 = last->top1;
  log.add(end);
  state_.checkpoint.finished = true;
  update_checkpoint(output, state_.checkpoint);
  result.finished = true;
} catch (const Stopped&) {
  batches_->stop();
}

void Trainer::check(const StopFlag& stop) {
  const Evaluator evaluator(options_, {images_.index->classes, classes_, "the student"}, images_.index->decoding, size_,
                            stop);
  describe();
  describe_missing_classes(evaluator.validation(), evaluator.test());
  describe_plan(options_, *images_.index, *source_, phase_bounds(options_.schedule, batches_->steps_per_epoch()),
                evaluator);
  describe_memory(options_, student_.network().module(), *objective_, *source_, size_);
}

TrainResult Trainer::run(const StopFlag& stop) {
  if (resumed_ && state_.first_step == steps_)
    if (std::optional<TrainResult> before = finished_run(given_)) return *before;
  at::set_num_threads(static_cast<int>(options_.threads > 0 ? options_.threads : default_threads()));
  // More workers than cores may help with slow disks.
  const std::size_t usual = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                    std::max<std::size_t>(usual, options_.workers));
  const Evaluator evaluator(options_, {images_.index->classes, classes_, "the student"}, images_.index->decoding, size_,
                            stop);
  describe();
  describe_shared_images(*images_.index, evaluator.validation(), evaluator.test());
  describe_missing_classes(evaluator.validation(), evaluator.test());
  state_.start_clocks();
  TrainOptions recorded = given_;
  recorded.decoding = options_.decoding;
  const FileLock lock = open_run_folder(recorded, resumed_);
  begin(evaluator);
  RunLog log(options_.output, {.step = state_.first_step,
                               .validation_due = state_.checkpoint.validation_due,
                               .finished = resumed_ && resumed_->finished && state_.first_step < steps_});
  if (state_.first_step == 0) add_first_views(log.events());
  const auto validated = [&] {
    return evaluator.validate(student_, state_.checkpoint, batches_->steps_per_epoch(), log, stop);
  };
  std::uint64_t done = state_.first_step;
  const bool due = state_.checkpoint.validation_due && evaluator.validation() != nullptr;  // an interrupted validation
  if (!due || validated())
    done = train(options_.max_steps > 0 ? std::min(options_.max_steps, steps_) : steps_, evaluator, log, stop);
  TrainResult result = result_after(done);
  if (done == steps_ && !(state_.checkpoint.validation_due && evaluator.validation() != nullptr))
    finish(evaluator, result, log, stop);
  return result;
}

}  // namespace vitrine
