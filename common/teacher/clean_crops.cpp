#include "common/teacher/clean_crops.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "common/base/philox.h"
#include "common/image/transform.h"

namespace vitrine {

Accuracy clean_crop_accuracy(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                             std::uint32_t count, std::uint64_t seed, const ClassMap* map, const StopFlag& stop) {
  const auto judged = [&](std::uint32_t label) {
    return label != kNoLabel && (map == nullptr || std::ranges::binary_search(map->columns(), label));
  };
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < index.images.size(); ++i)
    if (judged(index.images[i].label)) order.push_back(i);
  Stream draws(seed, Purpose::kSample);
  count = static_cast<std::uint32_t>(std::min<std::size_t>(count, order.size()));
  AccuracyCounts counts;
  const std::uint32_t batch = teacher.options().micro_batch;
  std::vector<std::uint8_t> pictures;
  std::vector<std::int64_t> labels;
  for (std::uint32_t i = 0; i < count; ++i) {
    throw_if_stopped(stop, "in the check on clean crops");
    std::swap(order[i], order[i + draws.below(order.size() - i)]);
    const Image view = centre_view(views.picture(order[i]), teacher.image_size(), teacher.options().crop_fraction);
    pictures.insert(pictures.end(), view.rgb.begin(), view.rgb.end());
    labels.push_back(index.images[order[i]].label);
    if (labels.size() < batch && i + 1 < count) continue;
    std::vector<float> logits = teacher.logits(pictures, static_cast<std::uint32_t>(labels.size()));
    if (map != nullptr) logits = map->whole(logits, static_cast<std::uint32_t>(labels.size()));
    const auto n = static_cast<std::int64_t>(labels.size()), classes = static_cast<std::int64_t>(logits.size()) / n;
    counts.add(at::from_blob(logits.data(), {n, classes}, at::kFloat), at::from_blob(labels.data(), {n}, at::kLong));
    pictures.clear();
    labels.clear();
  }
  return counts.accuracy();
}

bool at_chance(const Accuracy& accuracy, std::size_t classes) {
  const double guess = 1.0 / static_cast<double>(classes);
  const double error =
      std::sqrt(guess * (1 - guess) / static_cast<double>(std::max<std::uint64_t>(accuracy.images, 1)));
  return accuracy.top1 < guess + 3 * error;
}

}  // namespace vitrine
