#include "train/evaluation/agreement.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/teacher/class_name_match.h"

namespace vitrine {
namespace {

at::Tensor numbers(std::span<const std::uint32_t> images) {
  return at::tensor(std::vector<std::int64_t>(images.begin(), images.end()), at::kLong);
}

}  // namespace

EvaluationTeacher::EvaluationTeacher(const TargetOptions& options, const std::vector<std::string>& names,
                                     std::size_t classes)
    : teacher_(options.teacher, options.taps) {
  const auto own = static_cast<std::uint32_t>(teacher_.classes());
  if (const ClassMapFiles files = options.class_map_files(); files.given())
    map_ = read_class_map(files, own, names);
  else if (own > 0)
    map_ = map_by_name(teacher_.class_names(), names, "the student", "targets.");
  if (const std::uint32_t known = map_ ? map_->student_classes() : own; known != classes)
    fail("the teacher of targets.teacher has ", known, " classes, the student ", classes,
         "; agreement needs the same classes in the same order, or a class map (targets.class_map)");
}

EvaluationTeacher::Outputs EvaluationTeacher::logits(const Evaluation& evaluation,
                                                     std::span<const std::uint32_t> images) const {
  Evaluation::Crops crops = evaluation.crops(images, teacher_.image_size(), teacher_.clean_crop());
  if (crops.images.empty()) return {};
  const auto count = static_cast<std::uint32_t>(crops.images.size());
  std::vector<float> values = teacher_.logits(
      {crops.pictures.data_ptr<std::uint8_t>(), static_cast<std::size_t>(crops.pictures.numel())}, count);
  if (map_) values = map_->whole(values, count);
  const std::vector<std::int64_t> shape{count, static_cast<std::int64_t>(values.size()) / count};
  return {at::from_blob(values.data(), shape, at::kFloat).clone(), std::move(crops.images)};
}

Agreement::Agreement(const TargetOptions& options, const Evaluation& images, const std::vector<std::string>& names,
                     std::size_t classes, const StopFlag& stop)
    : images_(images) {
  constexpr std::uint32_t kBatch = 64;
  const EvaluationTeacher teacher(options, names, classes);
  const auto count = static_cast<std::uint32_t>(images.index().images.size());
  classes_ = at::full({count}, -1, at::kLong);
  for (std::uint32_t first = 0; first < count; first += kBatch) {
    throw_if_stopped(stop, "while the teacher ran on the validation images");
    std::vector<std::uint32_t> wanted(std::min(kBatch, count - first));
    std::iota(wanted.begin(), wanted.end(), first);
    const EvaluationTeacher::Outputs outputs = teacher.logits(images, wanted);
    if (!outputs.images.empty()) classes_.index_copy_(0, numbers(outputs.images), outputs.logits.argmax(1));
  }
}

double Agreement::run(Network& network, at::Device device, const StopFlag& stop) const {
  std::int64_t same = 0, compared = 0;
  images_.visit(
      network, device,
      [&](const at::Tensor& logits, const at::Tensor&, std::span<const std::uint32_t> images) {
        const at::Tensor theirs = classes_.index_select(0, numbers(images)).to(device);
        same += logits.argmax(1).eq(theirs).sum().item<std::int64_t>();
        compared += theirs.ge(0).sum().item<std::int64_t>();
      },
      stop);
  if (compared == 0)
    throw Error(ErrorKind::kIo, {.what = "no validation image can be read by teacher and student; check their folder"});
  return static_cast<double>(same) / static_cast<double>(compared);
}

}  // namespace vitrine
