#include "train/agreement.h"

#include <torch/torch.h>

#include <algorithm>
#include <vector>

#include "common/base/error.h"

namespace vitrine {

TeacherJudge::TeacherJudge(const TrainOptions& options, const std::vector<std::string>& names, std::size_t classes)
    : teacher_(options.targets.teacher, options.targets.taps) {
  const auto own = static_cast<std::uint32_t>(teacher_.classes());
  if (const ClassMapFiles files = options.targets.class_map_files(); files.given())
    map_ = read_class_map(files, own, names);
  if (const std::uint32_t known = map_ ? map_->student_classes() : own; known != classes)
    fail("the teacher of targets.teacher has ", known, " classes, the student ", classes,
         "; agreement needs the same classes in the same order, or a class map (targets.class_map)");
}

at::Tensor TeacherJudge::logits(const Evaluation& images, std::uint32_t first, std::uint32_t count) const {
  const at::Tensor crops = images.crops(first, count, teacher_.image_size(), teacher_.options().crop_fraction);
  std::vector<float> values =
      teacher_.logits({crops.data_ptr<std::uint8_t>(), static_cast<std::size_t>(crops.numel())}, count);
  if (map_) values = map_->whole(values, count);
  return at::from_blob(values.data(), {count, static_cast<std::int64_t>(values.size()) / count}, at::kFloat).clone();
}

Agreement::Agreement(const TrainOptions& options, const Evaluation& images, const std::vector<std::string>& names,
                     std::size_t classes, const StopFlag& stop)
    : images_(images) {
  constexpr std::uint32_t kBatch = 64;
  const TeacherJudge judge(options, names, classes);
  const auto count = static_cast<std::uint32_t>(images.index().images.size());
  std::vector<at::Tensor> parts;
  for (std::uint32_t first = 0; first < count; first += kBatch) {
    throw_if_stopped(stop, "while the teacher was asked about the validation images");
    parts.push_back(judge.logits(images, first, std::min(kBatch, count - first)).argmax(1));
  }
  classes_ = at::cat(parts);
}

double Agreement::run(Network& network, at::Device device, const StopFlag& stop) const {
  const at::Tensor theirs = classes_.to(device);
  at::Tensor same = at::zeros({}, theirs.options());
  images_.visit(
      network, device,
      [&](const at::Tensor& logits, const at::Tensor&, std::uint32_t first) {
        same += logits.argmax(1).eq(theirs.narrow(0, first, logits.size(0))).sum();
      },
      stop);
  return static_cast<double>(same.item<std::int64_t>()) / static_cast<double>(classes_.size(0));
}

}  // namespace vitrine
