#include "train/run/evaluate_checkpoint.h"

#include <tbb/global_control.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/config/config.h"
#include "common/kernels/normalise.h"
#include "common/models/device.h"
#include "common/models/precision.h"
#include "common/models/weights/load.h"
#include "train/evaluation/agreement.h"
#include "train/evaluation/evaluate.h"
#include "train/run/checkpoint.h"
#include "train/run/checks.h"
#include "train/run/provenance.h"
#include "train/student/network.h"
#include "common/models/weights/weights_record.h"

namespace vitrine {
namespace {

/// The student's input size: as given, or the teacher's.
int picture_size(const TrainOptions& options) {
  if (options.size > 0) return static_cast<int>(options.size);
  if (options.targets.source == TargetKind::kCache && !options.targets.cache.empty())
    return static_cast<int>(Cache(options.targets.cache).plan().options().image_size);
  return static_cast<int>(options.plan.image_size);
}

/// The number of classes of the model with these weights.
std::int64_t outputs(const Tensors& weights, const std::filesystem::path& checkpoint) {
  for (const char* name : {"fc.weight", "head.weight"})
    if (const auto found = weights.find(name); found != weights.end() && found->second.dim() == 2)
      return found->second.size(0);
  fail(checkpoint.string(), ": has neither fc.weight nor head.weight; give a classifier's checkpoint");
}

// "step 120, chosen by top1 (14.00 %)".
std::string words_of(const WeightsRecord& record) {
  std::string out = text("step ", record.step);
  if (record.score)
    out += text(", chosen by ", record.selection, " on the validation images (", percent(*record.score), " %)");
  return out;
}

// The options to use for weights with a record. Options at their default, unless in overrides, yield to the record.
TrainOptions as_recorded(TrainOptions options, const WeightsRecord& record, const std::string& file,
                         const std::vector<std::string>& overrides) {
  const TrainOptions usual;
  std::string differs;
  const auto hold = [&](const char* key, const auto& given, const auto& by_default, const auto& theirs) {
    if (given != by_default && given != theirs)
      differs += text(differs.empty() ? "" : ", ", key, " = ", given, " (its: ", theirs, ")");
  };
  hold("model.kind", options.model.kind, usual.model.kind, record.model.kind);
  if (record.model.kind == "vit" && options.model.kind == "vit") {
    const VitOptions given = resolve(options.model.vit), by_default = resolve(usual.model.vit),
                     &theirs = record.model.vit;
    hold("model.vit.image_size", given.image_size, by_default.image_size, theirs.image_size);
    hold("model.vit.patch", given.patch, by_default.patch, theirs.patch);
    hold("model.vit.dim", given.dim, by_default.dim, theirs.dim);
    hold("model.vit.depth", given.depth, by_default.depth, theirs.depth);
    hold("model.vit.heads", given.heads, by_default.heads, theirs.heads);
    hold("model.vit.mlp_ratio", given.mlp_ratio, by_default.mlp_ratio, theirs.mlp_ratio);
  } else if (record.model.kind == "resnet") {
    hold("model.arch", options.model.arch, usual.model.arch, record.model.arch);
    hold("model.width", options.model.width, usual.model.width, record.model.width);
  }
  if (!differs.empty())
    throw Error(ErrorKind::kInput,
                {.path = file,
                 .what = "its weights are of another model than the configuration's: " + differs,
                 .remedy = "leave these keys out, or give the configuration that it was trained with"});
  const auto take = [](auto& given, const auto& by_default, const auto& theirs) {
    if (given == by_default) given = theirs;
  };
  take(options.size, usual.size, record.size);
  take(options.mean, usual.mean, record.mean);
  take(options.stddev, usual.stddev, record.stddev);
  take(options.crop_pct, usual.crop_pct, record.crop_pct);
  take(options.decoding.apply_orientation, usual.decoding.apply_orientation, record.decoding.apply_orientation);
  take(options.decoding.scale_grey16, usual.decoding.scale_grey16, record.decoding.scale_grey16);
  take(options.precision, usual.precision, record.precision);
  load_config({}, overrides, options);
  if (options.size == 0) options.size = record.size;  // "as the model's"
  options.model = record.model;
  const auto tell = [&](const char* key, const auto& given, const auto& theirs, const auto& words) {
    if (given != theirs)
      note(text(file, ": was trained with ", key, " = ", words(theirs), "; evaluated with ", words(given),
                ", as configured"));
  };
  const auto number = [](const auto& value) { return text(value); };
  tell("size", options.size, record.size, number);
  tell("mean", options.mean, record.mean, colour_words);
  tell("std", options.stddev, record.stddev, colour_words);
  tell("crop_pct", options.crop_pct, record.crop_pct, number);
  const auto applied = [](bool yes) { return yes ? "apply" : "ignore"; };
  const auto scaled = [](bool yes) { return yes ? "scale" : "clip"; };
  tell("exif_orientation", options.decoding.apply_orientation, record.decoding.apply_orientation, applied);
  tell("grey16", options.decoding.scale_grey16, record.decoding.scale_grey16, scaled);
  tell("precision", options.precision, record.precision, number);
  return options;
}

// The weights to evaluate, and their record.
struct StudentFile {
  std::string file;
  Tensors weights;
  std::optional<WeightsRecord> record;

  std::int64_t classes() const { return outputs(weights, file); }
};

StudentFile open_weights(const std::filesystem::path& checkpoint, bool configured) {
  const std::filesystem::path file = weights_file(checkpoint);
  StudentFile out{file.string(), checkpoint_weights(file), WeightsRecord::parse(weights_metadata(file), file.string())};
  if (!out.record && !configured)
    throw Error(
        ErrorKind::kInput,
        {.path = out.file,
         .what =
             "does not record which model its weights are of (it was written by another program or an older version)",
         .remedy = "give the configuration that it was trained with: vitrine-train CONFIG.toml --evaluate FILE"});
  return out;
}

// Checks before any image is scanned.
void check(const StudentFile& student, const TrainOptions& options) {
  const bool is_vit = student.weights.contains("patch_embed.proj.weight");
  if (is_vit != (options.model.kind == "vit"))
    fail(student.file, ": holds ", is_vit ? "a ViT" : "no ViT", ", but model.kind is \"", options.model.kind,
         "\"; give the configuration that it was trained with");
  if (options.labels == Labels::kNone && options.targets.teacher.file().empty())
    fail(
        "labels = \"none\" leaves --evaluate only agreement with the teacher, but targets.teacher.weights is not "
        "given; give it, or labels");
}

Network network_of(const StudentFile& student, const TrainOptions& options, at::Device device) {
  ModelOptions model = options.model;
  model.weights.clear();
  Network network(model, static_cast<int>(student.classes()), device);
  load_weights(network.module(), student.weights, student.file);
  return network;
}

// Metrics from labels, and agreement with the teacher on the images that both can read.
void evaluate_by_labels(const Evaluation& evaluation, Network& network, at::Device device, const TrainOptions& options,
                        const StopFlag& stop, Report& report) {
  std::optional<EvaluationTeacher> teacher;
  if (!options.targets.teacher.file().empty()) teacher.emplace(options.targets, report.classes, report.classes.size());
  ClassificationMetrics& metrics = *report.metrics;
  const auto add = [&](at::Tensor logits, at::Tensor labels, std::span<const std::uint32_t> images) {
    if (!teacher) return metrics.add(logits, labels, {});
    const EvaluationTeacher::Outputs outputs = teacher->logits(evaluation, images);
    if (outputs.images.empty()) return;
    if (outputs.images.size() < images.size()) {  // the teacher could not read one that the student read
      std::vector<std::int64_t> rows;
      for (const std::uint32_t image : outputs.images)
        rows.push_back(std::ranges::find(images, image) - images.begin());
      const at::Tensor both = at::tensor(rows, at::kLong).to(device);
      logits = logits.index_select(0, both), labels = labels.index_select(0, both);
    }
    metrics.add(logits, labels, outputs.logits);
  };
  evaluation.visit(network, device, add, stop);
  report.agreement = metrics.agreement();
}

}  // namespace

Report evaluate_checkpoint(const TrainOptions& given, const std::filesystem::path& checkpoint, bool configured,
                           const std::vector<std::string>& overrides, const StopFlag& stop) {
  const std::optional<ImageFolders> folder = given.evaluation_folders();
  if (!folder)
    fail("there are no images to evaluate on; give them with --images DIR, or a configuration with test or validation");
  if (!given.targets.teacher.file().empty()) select_device(given.targets.teacher.device);
  const at::Device device = select_device(given.device);
  if (given.threads > 0) at::set_num_threads(static_cast<int>(given.threads));
  const StudentFile student = open_weights(checkpoint, configured);
  TrainOptions options = student.record ? as_recorded(given, *student.record, student.file, overrides) : given;
  const PrecisionScope precision(options.precision, device, "precision");
  check(student, options);
  if (!options.targets.teacher.file().empty()) {
    Allowance allowance(options.allow);
    options.targets.teacher = evaluation_teacher(options.targets, allowance);
  }
  const std::size_t usual = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                    std::max<std::size_t>(usual, options.workers));
  const bool labelled = options.labels != Labels::kNone;
  const EvaluationOptions how = options.evaluation_options(picture_size(options));
  check_vit_size(options.model, how.size);
  const auto classes = static_cast<std::size_t>(student.classes());
  const ModelClasses known{student.record ? student.record->classes : std::vector<std::string>(), classes,
                           student.file};
  ImageFolders images = *folder;
  images.labels = labelled ? Labels::kFolders : Labels::kNone;
  const Evaluation evaluation = labelled ? Evaluation(images, known, how, stop) : Evaluation(images, how, stop);
  Network network = network_of(student, options, device);

  Report report;
  report.checkpoint = student.file;
  report.folder = images.describe();
  report.about = student.record ? words_of(*student.record) : "";
  report.precision = options.precision;
  if (labelled) {
    report.classes = evaluation.index().classes;
    report.metrics.emplace(student.classes());
    evaluate_by_labels(evaluation, network, device, options, stop, report);
  } else {
    report.agreement = Agreement(options.targets, evaluation, known.names, classes, stop).run(network, device, stop);
  }
  report.left_out = evaluation.left_out();
  report.images = evaluation.index().images.size() - static_cast<std::uint64_t>(std::ranges::count(
                                                         report.left_out, LeftOutKind::kFailedLater, &LeftOut::kind));
  return report;
}

}  // namespace vitrine
