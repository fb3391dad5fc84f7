#include "common/teacher/clean_crops.h"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "common/base/philox.h"
#include "common/eval/metrics.h"
#include "common/image/transform.h"
#include "common/teacher/one_thread_each.h"

namespace vitrine {

namespace {

CleanCrops crops_of(std::vector<std::vector<float>>& logits, std::vector<std::vector<std::int64_t>>& labels,
                    const std::vector<std::vector<std::uint32_t>>& images) {
  AccuracyCounts counts;
  std::optional<ClassificationMetrics> metrics;
  CleanCrops out;
  for (std::size_t b = 0; b < labels.size(); ++b) {
    if (labels[b].empty()) continue;
    const auto n = static_cast<std::int64_t>(labels[b].size()),
               classes = static_cast<std::int64_t>(logits[b].size()) / n;
    const at::Tensor scores = at::from_blob(logits[b].data(), {n, classes}, at::kFloat);
    const at::Tensor truth = at::from_blob(labels[b].data(), {n}, at::kLong);
    counts.add(scores, truth);
    if (!metrics) metrics.emplace(classes);
    metrics->add(scores, truth);
    const at::Tensor predictions = scores.argmax(1), logs = at::log_softmax(scores.to(at::kDouble), 1);
    out.confidence += std::get<0>(at::softmax(scores.to(at::kDouble), 1).max(1)).sum().item<double>();
    out.loss -= logs.gather(1, truth.unsqueeze(1)).sum().item<double>();
    out.images.insert(out.images.end(), images[b].begin(), images[b].end());
    for (std::size_t k = 0; k < labels[b].size(); ++k) {
      out.labels.push_back(static_cast<std::uint32_t>(labels[b][k]));
      out.predictions.push_back(static_cast<std::uint32_t>(predictions.const_data_ptr<std::int64_t>()[k]));
      out.right.push_back(out.labels.back() == out.predictions.back());
    }
  }
  const auto count = static_cast<double>(std::max<std::size_t>(1, out.labels.size()));
  out.confidence /= count;
  out.loss /= count;
  if (metrics) out.calibration_error = metrics->calibration_error();
  out.accuracy = counts.accuracy();
  return out;
}

}  // namespace

std::vector<CleanCrops> evaluate_clean_crops(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                                             std::uint32_t count, std::uint64_t seed, const ClassMap* map,
                                             std::span<const Normalisation> normalisations, std::uint32_t workers,
                                             const StopFlag& stop) {
  const auto is_usable = [&](std::uint32_t label) {
    return label != kNoLabel && (map == nullptr || std::ranges::binary_search(map->columns(), label));
  };
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < index.images.size(); ++i)
    if (is_usable(index.images[i].label)) order.push_back(i);
  RandomStream draws(seed, Purpose::kSample);
  count = static_cast<std::uint32_t>(std::min<std::size_t>(count, order.size()));
  for (std::uint32_t i = 0; i < count; ++i) std::swap(order[i], order[i + draws.below(order.size() - i)]);
  const std::uint32_t batch = teacher.options().micro_batch, batches = (count + batch - 1) / batch;
  std::vector<std::vector<std::vector<float>>> logits(normalisations.size(), std::vector<std::vector<float>>(batches));
  std::vector<std::vector<std::int64_t>> labels(batches);
  std::vector<std::vector<std::uint32_t>> images(batches);
  const auto evaluate = [&](std::uint32_t b) {
    std::vector<std::uint8_t> pictures;
    for (std::uint32_t i = b * batch; i < std::min(count, (b + 1) * batch); ++i) {
      throw_if_stopped(stop, "in the check on clean crops");
      if (const std::optional<Image> picture = views.picture_or_none(order[i])) {
        const Image view = centre_view(*picture, teacher.image_size(), teacher.clean_crop());
        pictures.insert(pictures.end(), view.rgb.begin(), view.rgb.end());
        labels[b].push_back(index.images[order[i]].label);
        images[b].push_back(order[i]);
      }
    }
    const auto views_in_batch = static_cast<std::uint32_t>(labels[b].size());
    if (views_in_batch == 0) return;
    for (std::size_t n = 0; n < normalisations.size(); ++n) {
      logits[n][b] = teacher.logits(pictures, views_in_batch, &normalisations[n]);
      if (map != nullptr) logits[n][b] = map->whole(logits[n][b], views_in_batch);
    }
  };
  {
    // Allow more workers than cores, to hide the latency of slow disks.
    const std::size_t usual = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
    const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                      std::max<std::size_t>(usual, workers));
    tbb::task_arena arena(static_cast<int>(workers));
    const OneThreadEach one_thread_each(arena);
    arena.execute([&] { tbb::parallel_for(0u, batches, evaluate, tbb::simple_partitioner()); });
  }
  std::vector<CleanCrops> out;
  for (auto& of_batches : logits) out.push_back(crops_of(of_batches, labels, images));
  return out;
}

CleanCrops evaluate_clean_crops(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                                std::uint32_t count, std::uint64_t seed, const ClassMap* map, std::uint32_t workers,
                                const StopFlag& stop) {
  const Normalisation own = teacher.normalisation();
  return evaluate_clean_crops(teacher, views, index, count, seed, map, std::span(&own, 1), workers, stop).front();
}

Accuracy clean_crop_accuracy(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                             std::uint32_t count, std::uint64_t seed, const ClassMap* map, std::uint32_t workers,
                             const StopFlag& stop) {
  return evaluate_clean_crops(teacher, views, index, count, seed, map, workers, stop).accuracy;
}

std::optional<double> agreement(const CleanCrops& a, const CleanCrops& b) {
  std::map<std::uint32_t, std::uint32_t> of_b;
  for (std::size_t i = 0; i < b.images.size(); ++i) of_b.emplace(b.images[i], b.predictions[i]);
  std::uint64_t common = 0, same = 0;
  for (std::size_t i = 0; i < a.images.size(); ++i)
    if (const auto found = of_b.find(a.images[i]); found != of_b.end()) {
      ++common;
      same += found->second == a.predictions[i];
    }
  if (common == 0) return std::nullopt;
  return static_cast<double>(same) / static_cast<double>(common);
}

bool at_chance(const Accuracy& accuracy, std::size_t classes) {
  const double guess = 1.0 / static_cast<double>(classes);
  const double error =
      std::sqrt(guess * (1 - guess) / static_cast<double>(std::max<std::uint64_t>(accuracy.images, 1)));
  return accuracy.top1 < guess + 3 * error;
}

}  // namespace vitrine
