#include "tools/commands/report/evaluate/evaluate_run.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/config/command_line.h"
#include "common/config/config.h"
#include "common/eval/grad_cam.h"
#include "common/eval/metrics.h"
#include "common/image/overlay.h"
#include "common/kernels/normalise.h"
#include "common/models/device.h"
#include "common/models/precision.h"
#include "common/teacher/open_teacher.h"
#include "tools/commands/report/evaluate/attention.h"
#include "train/evaluation/agreement.h"
#include "train/evaluation/evaluate.h"
#include "train/evaluation/report.h"
#include "train/run/options.h"
#include "train/run/provenance.h"
#include "train/run/stored_student.h"
#include "train/run_files/run_files.h"
#include "train/student/network.h"
#include "common/models/weights/weights_record.h"

namespace vitrine {
namespace {

constexpr int kSide = 144, kQuality = 82;  // of stored pictures: about 6 KB each
constexpr std::int64_t kAnswers = 3;
// Stands for a loss that is not finite, which JSON cannot hold: such pictures come first.
constexpr double kLargestLoss = 1e9;

TrainOptions options_of(const std::filesystem::path& run, const EvaluateRequest& request) {
  TrainOptions options;
  load_config(RunFiles(run).config(), request.overrides, options);
  std::vector<std::string> allow = request.allow;
  options.targets.teacher.allow_module = take_allowed(allow, "module");
  for (const std::string& words : allow) options.allow += (options.allow.empty() ? "" : ",") + words;
  if (!request.images.empty()) options.test = request.images;
  if (!options.evaluation_folders())
    fail(run.string(), ": its configuration has neither test nor validation images to evaluate on; give --images DIR");
  return options;
}

/// A student with its record.
struct EvaluatedStudent {
  std::string file, sha256;
  WeightsRecord record;
  Network network;
  at::Device device;
};

EvaluatedStudent student_of(const std::filesystem::path& run, at::Device device) {
  StoredStudent stored = read_student(run);
  Network network = network_of(stored, device);
  return {stored.file.string(), stored.sha256, std::move(stored.record), std::move(network), device};
}

EvaluationOptions evaluation_options(const EvaluatedStudent& student, const TrainOptions& options) {
  const WeightsRecord& record = student.record;
  EvaluationOptions out;
  out.size = static_cast<int>(record.size);
  out.crop_pct = record.crop_pct;
  out.mean = record.mean;
  out.stddev = record.stddev;
  out.decoding = record.decoding;
  out.precision = record.precision;
  out.workers = options.workers;
  return out;
}

// Whether there is a teacher to ask; its options are filled in from the cache that it made.
bool find_teacher(TrainOptions& options) {
  TeacherOptions& teacher = options.targets.teacher;
  if (teacher.file().empty()) return false;
  if (!path_exists(teacher.file())) {
    note(text(teacher.file(),
              ": the teacher's weights are missing, so the student is evaluated without it; give them "
              "with --set targets.teacher.weights=PATH"));
    return false;
  }
  select_device(teacher.device);
  Allowance allowance(options.allow);
  teacher = evaluation_teacher(options.targets, allowance);
  return true;
}

/// The figures of all images, and the loss of each.
struct Scores {
  ClassificationMetrics metrics;
  std::vector<std::pair<double, std::uint32_t>> losses;  // with the image
  std::uint64_t agreeing = 0, compared = 0;
};

at::Tensor rows_of(std::span<const std::uint32_t> some, std::span<const std::uint32_t> all) {
  std::vector<std::int64_t> rows;
  for (const std::uint32_t image : some) rows.push_back(std::ranges::find(all, image) - all.begin());
  return at::tensor(rows, at::kLong);
}

void add_losses(const at::Tensor& losses, std::span<const std::uint32_t> images, Scores& out) {
  const at::Tensor values = losses.to(at::kCPU, at::kDouble).contiguous();
  for (std::size_t i = 0; i < images.size(); ++i) {
    const double loss = values.data_ptr<double>()[i];
    out.losses.emplace_back(std::isfinite(loss) ? std::min(loss, kLargestLoss) : kLargestLoss, images[i]);
  }
}

// KL(teacher || student) of each image; classes that the teacher does not know have no probability.
at::Tensor divergence(const at::Tensor& student, const at::Tensor& teacher) {
  const at::Tensor p = at::softmax(teacher, 1), log_p = at::log_softmax(teacher, 1);
  const at::Tensor terms = p * (log_p - at::log_softmax(student, 1));
  return at::where(p > 0, terms, at::zeros_like(terms)).sum(1);
}

Scores score(EvaluatedStudent& student, const Evaluation& evaluation, const EvaluationTeacher* teacher, bool labelled,
             const StopFlag& stop) {
  Scores out{ClassificationMetrics(static_cast<std::int64_t>(student.record.class_count)), {}};
  Progress progress("evaluate " + student.file, "images", evaluation.index().images.size());
  evaluation.visit(
      student.network, student.device,
      [&](const at::Tensor& on_device, const at::Tensor& labels, std::span<const std::uint32_t> images) {
        const at::Tensor logits = on_device.to(at::kCPU, at::kDouble);
        if (labelled) {
          out.metrics.add(logits, labels.to(at::kCPU));
          add_losses(at::cross_entropy_loss(logits, labels.to(at::kCPU), {}, at::Reduction::None), images, out);
        }
        progress.advance(images.size());
        if (teacher == nullptr) return;
        const EvaluationTeacher::Outputs outputs = teacher->logits(evaluation, images);
        if (outputs.images.empty()) return;
        const at::Tensor ours = logits.index_select(0, rows_of(outputs.images, images));
        const at::Tensor theirs = outputs.logits.to(at::kDouble);
        out.agreeing += static_cast<std::uint64_t>(ours.argmax(1).eq(theirs.argmax(1)).sum().item<std::int64_t>());
        out.compared += outputs.images.size();
        if (!labelled) add_losses(divergence(ours, theirs), outputs.images, out);
      },
      stop);
  progress.finish();
  return out;
}

std::string class_name(const std::vector<std::string>& names, std::int64_t number) {
  return names.empty() ? text("class ", number) : names.at(static_cast<std::size_t>(number));
}

std::vector<Answer> answers(const at::Tensor& logits, const std::vector<std::string>& names) {
  const at::Tensor probabilities = at::softmax(logits.to(at::kCPU, at::kDouble), 0);
  const auto [shares, classes] = probabilities.topk(std::min(kAnswers, probabilities.size(0)));
  std::vector<Answer> out;
  for (std::int64_t i = 0; i < shares.size(0); ++i) {
    const double share = shares[i].item<double>();
    out.push_back({class_name(names, classes[i].item<std::int64_t>()), std::isfinite(share) ? share : 0});
  }
  return out;
}

// The student's answers and where it saw them.
void explain(EvaluatedStudent& student, const Evaluation& evaluation, const std::vector<std::string>& names,
             std::span<const std::uint32_t> images, std::vector<HardPicture>& out) {
  const Evaluation::Crops crops =
      evaluation.crops(images, static_cast<int>(student.record.size), {student.record.crop_pct});
  if (crops.images.empty()) return;
  const at::Tensor x = normalise_pictures(crops.pictures.to(student.device), rgb_triplet(student.record.mean, "mean"),
                                          rgb_triplet(student.record.stddev, "std"));
  at::Tensor logits, maps;
  {
    const at::NoGradGuard no_grad;
    logits = student.network.forward(x).logits;
  }
  if (ResNet* resnet = student.network.resnet()) maps = grad_cam(*resnet, x, logits.argmax(1)).to(at::kCPU);
  for (std::size_t i = 0; i < crops.images.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    HardPicture& one = out[static_cast<std::size_t>(std::ranges::find(images, crops.images[i]) - images.begin())];
    one.student = answers(logits[row], names);
    const Image picture = small_picture(crops.pictures[row], kSide);
    one.picture = data_uri(picture, kQuality);
    if (!maps.defined()) continue;
    const at::Tensor map = maps[row].contiguous();
    one.student_map = data_uri(overlay(picture, {map.data_ptr<float>(), static_cast<std::size_t>(map.numel())},
                                       static_cast<int>(map.size(0)), static_cast<int>(map.size(1))),
                               kQuality);
  }
}

void ask_teacher(const EvaluationTeacher& teacher, const Evaluation& evaluation, const std::vector<std::string>& names,
                 std::span<const std::uint32_t> images, std::vector<HardPicture>& out) {
  const EvaluationTeacher::Outputs outputs = teacher.logits(evaluation, images);
  for (std::size_t i = 0; i < outputs.images.size(); ++i)
    out[static_cast<std::size_t>(std::ranges::find(images, outputs.images[i]) - images.begin())].teacher =
        answers(outputs.logits[static_cast<std::int64_t>(i)], names);
}

void draw_attention(const TeacherOptions& teacher, const Evaluation& evaluation, std::span<const std::uint32_t> images,
                    std::vector<HardPicture>& out) try {
  const std::vector<Image> maps = attention_overlays(teacher, evaluation, images, kSide);
  for (std::size_t i = 0; i < maps.size(); ++i)
    if (!maps[i].rgb.empty()) out[i].teacher_map = data_uri(maps[i], kQuality);
} catch (const Error& error) {
  if (error.kind() != ErrorKind::kInput) throw;
  note(text("the teacher's attention is not drawn: ", error.what()));
}

std::vector<HardPicture> begin_pictures(const std::vector<std::pair<double, std::uint32_t>>& losses,
                                        const Evaluation& evaluation, const std::vector<std::string>& names) {
  std::vector<HardPicture> out;
  for (const auto& [loss, image] : losses) {
    const ImageEntry& entry = evaluation.index().images[image];
    HardPicture one;
    one.id = entry.id;
    one.label = entry.label == kNoLabel ? "" : class_name(names, entry.label);
    one.loss = loss;
    out.push_back(std::move(one));
  }
  return out;
}

void put_figures(const Scores& scores, bool labelled, const std::vector<std::string>& names, RunEvaluation& out) {
  if (scores.compared > 0) out.agreement = static_cast<double>(scores.agreeing) / static_cast<double>(scores.compared);
  double sum = 0;
  for (const auto& [loss, image] : scores.losses) sum += loss;
  if (!scores.losses.empty()) out.loss = sum / static_cast<double>(scores.losses.size());
  if (!labelled) return;
  const Accuracy accuracy = scores.metrics.accuracy();
  out.top1 = accuracy.top1;
  out.top5 = accuracy.top5;
  out.calibration_error = scores.metrics.calibration_error();
  out.confidence = scores.metrics.confidence();
  for (std::size_t c = 0; c < scores.metrics.classes().size(); ++c) {
    const Hits& hits = scores.metrics.classes()[c];
    out.classes.push_back({class_name(names, static_cast<std::int64_t>(c)), hits.images, hits.right});
  }
}

std::string teacher_name(const TeacherOptions& teacher) {
  return teacher.name.empty() ? teacher_file_name(teacher.file()) : teacher.name;
}

std::string about_words(const WeightsRecord& record) {
  std::string out = text("step ", human_count(record.step));
  if (record.score) out += text(", chosen by ", record.selection, ", ", percent(*record.score), " % in validation");
  return out;
}

}  // namespace

RunEvaluation evaluate_run(const std::filesystem::path& run, const EvaluateRequest& request, const StopFlag& stop) {
  TrainOptions options = options_of(run, request);
  const at::Device device = select_device(options.device);
  if (options.threads > 0) at::set_num_threads(static_cast<int>(options.threads));
  EvaluatedStudent student = student_of(run, device);
  const PrecisionScope precision(student.record.precision, device, "precision");
  const bool labelled = options.labels != Labels::kNone, with_teacher = find_teacher(options);
  if (!labelled && !with_teacher)
    fail(run.string(),
         ": was trained without labels, so its student can only be evaluated against its teacher; give its "
         "weights with --set targets.teacher.weights=PATH");
  const std::vector<std::string>& classes = student.record.classes;
  const ModelClasses known{classes, student.record.class_count, student.file};
  const EvaluationOptions how = evaluation_options(student, options);
  ImageFolders folders = *options.evaluation_folders();
  folders.labels = labelled ? Labels::kFolders : Labels::kNone;
  const Evaluation evaluation = labelled ? Evaluation(folders, known, how, stop) : Evaluation(folders, how, stop);
  const std::vector<std::string> names = labelled ? evaluation.index().classes : classes;
  std::optional<EvaluationTeacher> teacher;
  if (with_teacher) teacher.emplace(options.targets, names, student.record.class_count);

  Scores scores = score(student, evaluation, teacher ? &*teacher : nullptr, labelled, stop);
  RunEvaluation out;
  out.weights = student.file;
  out.weights_sha256 = student.sha256;
  out.about = about_words(student.record);
  out.folder = folders.describe();
  if (with_teacher) out.teacher = teacher_name(options.targets.teacher);
  out.loss_of = labelled ? "cross entropy with the label" : "divergence from the teacher";
  out.left_out = evaluation.left_out().size();
  out.images = scores.losses.size();
  put_figures(scores, labelled, names, out);

  // The largest loss first; equal ones in the order of the index.
  const std::size_t count = std::min<std::size_t>(request.hardest, scores.losses.size());
  std::ranges::partial_sort(
      scores.losses, scores.losses.begin() + static_cast<std::ptrdiff_t>(count),
      [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  scores.losses.resize(count);
  std::vector<std::uint32_t> images;
  for (const auto& [loss, image] : scores.losses) images.push_back(image);
  out.hardest = begin_pictures(scores.losses, evaluation, names);
  if (count == 0) return out;
  explain(student, evaluation, names, images, out.hardest);
  if (!teacher) return out;
  ask_teacher(*teacher, evaluation, names, images, out.hardest);
  teacher.reset();  // before the same weights are loaded once more
  draw_attention(options.targets.teacher, evaluation, images, out.hardest);
  return out;
}

}  // namespace vitrine
