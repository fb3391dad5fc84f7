#include "train/targets/track_values.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "train/losses/topk.h"

namespace vitrine {
namespace {

std::vector<std::int64_t> wide(const std::vector<std::uint32_t>& shape) {
  return {shape.begin(), shape.end()};
}

}  // namespace

at::Tensor room_for(const TrackInfo& track, std::uint32_t views) {
  std::vector<std::int64_t> shape = wide(track.shape);
  shape.insert(shape.begin(), views);
  const auto memory = std::make_shared<Buffer>();
  float* first = memory->numbers<float>(track.view_values() * views).data();
  return at::from_blob(
      first, shape, [memory](void*) {}, at::kFloat);
}

std::span<float> numbers(const at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

TargetShapes shapes_of(const TrackInfo* logits, const std::vector<const TrackInfo*>& features,
                       std::vector<std::shared_ptr<const FeatureBasis>> bases, const TrackInfo* attention,
                       const TrackInfo* embedding, bool topk) {
  TargetShapes out;
  if (logits != nullptr) {
    out.classes = logits->shape[0];
    out.topk = topk;
    out.logits = topk ? std::vector<std::int64_t>{2 * std::int64_t{logits->codec.kept} + 1} : wide(logits->shape);
  }
  for (const TrackInfo* track : features) out.features.push_back(wide(track->shape));
  out.bases = std::move(bases);
  if (attention != nullptr) out.attention = wide(attention->shape);
  if (embedding != nullptr) out.embedding = wide(embedding->shape);
  return out;
}

std::size_t tail_at(const TrackInfo& track, double temperature) {
  std::string there;
  for (std::size_t t = 0; t < track.codec.temperatures.size(); ++t) {
    if (track.codec.temperatures[t] == temperature) return t;
    there += text(t > 0 ? ", " : "", track.codec.temperatures[t]);
  }
  fail("loss.temperature = ", temperature, ", but the topk track ", track.directory(),
       " has the mass of the other classes at ", there,
       " only; choose one of these, or extract it again with that temperature in taps.topk_temperatures");
}

TopkGroup::TopkGroup(const TrackInfo& track, std::uint32_t group)
    : views(group),
      values(std::size_t{track.codec.kept} * group),
      tails(track.codec.temperatures.size() * group),
      indices(values.size()) {}

std::vector<float> TopkGroup::packed(std::size_t at) const {
  const std::size_t each = tails.size() / views;
  std::vector<float> tail(views);
  for (std::size_t view = 0; view < views; ++view) tail[view] = tails[view * each + at];
  return pack_topk(values, indices, tail);
}

}  // namespace vitrine
