#include "train/agreement.h"

#include <torch/torch.h>

#include <algorithm>
#include <vector>

#include "common/base/error.h"

namespace vitrine {

at::Tensor teacher_logits(const Teacher& teacher, const Evaluation& images, std::uint32_t first, std::uint32_t count) {
  const at::Tensor crops = images.crops(first, count, teacher.image_size(), teacher.options().crop_fraction);
  std::vector<float> values =
      teacher.logits({crops.data_ptr<std::uint8_t>(), static_cast<std::size_t>(crops.numel())}, count);
  return at::from_blob(values.data(), {count, teacher.classes()}, at::kFloat).clone();
}

Agreement::Agreement(const TrainOptions& options, const Evaluation& images, std::size_t classes) : images_(images) {
  constexpr std::uint32_t kBatch = 64;
  const Teacher teacher(options.targets.teacher, options.targets.taps);
  if (static_cast<std::size_t>(teacher.classes()) != classes)
    fail("the teacher of targets.teacher has ", teacher.classes(), " classes, the student ", classes,
         "; agreement needs the same classes in the same order");
  const auto count = static_cast<std::uint32_t>(images.index().images.size());
  std::vector<at::Tensor> parts;
  for (std::uint32_t first = 0; first < count; first += kBatch)
    parts.push_back(teacher_logits(teacher, images, first, std::min(kBatch, count - first)).argmax(1));
  classes_ = at::cat(parts);
}

double Agreement::run(Network& network, at::Device device) const {
  const at::Tensor theirs = classes_.to(device);
  at::Tensor same = at::zeros({}, theirs.options());
  images_.visit(network, device, [&](const at::Tensor& logits, const at::Tensor&, std::uint32_t first) {
    same += logits.argmax(1).eq(theirs.narrow(0, first, logits.size(0))).sum();
  });
  return static_cast<double>(same.item<std::int64_t>()) / static_cast<double>(classes_.size(0));
}

}  // namespace vitrine
