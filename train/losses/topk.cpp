#include "train/losses/topk.h"

#include <ATen/ATen.h>

#include <cstring>
#include <limits>
#include <stdexcept>

#include "train/losses/precision.h"

namespace vitrine {

std::vector<float> pack_topk(std::span<const float> values, std::span<const std::uint32_t> indices,
                             std::span<const float> tail) {
  if (tail.empty() || values.size() != indices.size() || values.size() % tail.size() != 0)
    throw std::logic_error("pack_topk: values, classes and tails of different numbers of views");
  const std::size_t kept = values.size() / tail.size(), row = 2 * kept + 1;
  std::vector<float> out(tail.size() * row);
  for (std::size_t view = 0; view < tail.size(); ++view) {
    std::memcpy(&out[view * row], &values[view * kept], kept * sizeof(float));
    std::memcpy(&out[view * row + kept], &indices[view * kept], kept * sizeof(float));
    out[view * row + 2 * kept] = tail[view];
  }
  return out;
}

TopkLogits unpack_topk(const at::Tensor& packed) {
  const std::int64_t kept = (packed.size(1) - 1) / 2;
  return {packed.narrow(1, 0, kept), packed.narrow(1, kept, kept).contiguous().view(at::kInt).to(at::kLong),
          packed.select(1, 2 * kept)};
}

at::Tensor topk_kl_divergence(const at::Tensor& student_logits, const TopkLogits& teacher, double temperature) {
  const FullPrecision precision;
  const at::Tensor student = precision.of(student_logits) / temperature;
  const at::Tensor all = student.logsumexp(1, /*keepdim=*/true);
  const at::Tensor kept = student.gather(1, teacher.indices) - all;
  // From the others' own logits: one minus the kept classes' mass would cancel.
  const at::Tensor others =
      student.scatter(1, teacher.indices, -std::numeric_limits<double>::infinity()).logsumexp(1, true) - all;
  const at::Tensor q = at::cat({kept, others}, 1);
  const at::Tensor p = at::log_softmax(
      at::cat({precision.of(teacher.values) / temperature, precision.of(teacher.tail).unsqueeze(1)}, 1).detach(), 1);
  return (p.exp() * (p - q)).sum(1).mean();
}

}  // namespace vitrine
