#include "common/models/vit/attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "common/models/own_kernels.h"
#include "common/models/vit/attention_avx512.h"

namespace vitrine {
namespace {

constexpr std::int64_t kScoreBytes = 1 << 20;  // of attention scores at once

at::Tensor with_heads_joined(const at::Tensor& x) {
  return x.transpose(1, 2).flatten(2);
}

// A few views at a time, so that the scores stay in the processor's cache.
at::Tensor two_products(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias) {
  const at::Tensor mask = bias.defined() ? bias.to(q.scalar_type()) : bias;
  const std::int64_t n = q.size(0), bytes = q.size(1) * q.size(2) * q.size(2) * 2;
  const std::int64_t step = std::max<std::int64_t>(1, kScoreBytes / bytes);
  std::vector<at::Tensor> parts;
  for (std::int64_t first = 0; first < n; first += step) {
    const auto views = [&](const at::Tensor& x) { return x.narrow(0, first, std::min(step, n - first)); };
    at::Tensor scores = at::matmul(views(q), views(k).transpose(2, 3));
    if (mask.defined()) scores.add_(mask);
    parts.push_back(at::matmul(at::softmax(scores, -1), views(v)));
  }
  return with_heads_joined(parts.size() == 1 ? parts.front() : at::cat(parts));
}

#if defined(__x86_64__)
bool has_kernel(const at::Tensor& q) {
  if (q.size(2) < kLeastAttentionTokens) return false;
  if (q.scalar_type() == at::kFloat) return has_avx512_kernels();
  return q.scalar_type() == at::kBFloat16 && has_bf16_kernels() && q.size(3) % 2 == 0;
}

void run_kernel(const AttentionHead<float>& head, float* scratch) {
  attention_avx512(head, scratch);
}

void run_kernel(const AttentionHead<std::uint16_t>& head, float* scratch) {
  attention_avx512_bf16(head, scratch);
}

template <class Value>
at::Tensor by_kernel(const at::Tensor& given_q, const at::Tensor& given_k, const at::Tensor& given_v,
                     const at::Tensor& given_bias, std::ptrdiff_t scratch_floats) {
  const std::int64_t views = given_q.size(0), heads = given_q.size(1), tokens = given_q.size(2),
                     width = given_q.size(3);
  const auto usable = [](const at::Tensor& x) { return x.stride(3) == 1 && x.stride(2) % 2 == 0 ? x : x.contiguous(); };
  const at::Tensor q = usable(given_q), k = usable(given_k), v = usable(given_v);
  const at::Tensor bias =
      given_bias.defined() ? given_bias.expand({1, heads, tokens, tokens}).contiguous() : at::Tensor();
  const at::Tensor out = at::empty({views, tokens, heads * width}, q.options());
  const at::Tensor scratch = at::empty({scratch_floats}, q.options().dtype(at::kFloat));
  for (std::int64_t n = 0; n < views; ++n)
    for (std::int64_t h = 0; h < heads; ++h) {
      const auto rows = [&](const at::Tensor& x) {
        return HeadRows<Value>{static_cast<const Value*>(x.const_data_ptr()) + n * x.stride(0) + h * x.stride(1),
                               x.stride(2)};
      };
      run_kernel({rows(q), rows(k), rows(v),
                  bias.defined() ? bias.const_data_ptr<float>() + h * tokens * tokens : nullptr, tokens, width,
                  static_cast<Value*>(out.mutable_data_ptr()) + (n * tokens * heads + h) * width, heads * width},
                 scratch.mutable_data_ptr<float>());
    }
  return out;
}
#endif

}  // namespace

at::Tensor composed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias) {
  if (q.scalar_type() != at::kFloat) return two_products(q, k, v, bias);
  return with_heads_joined(at::scaled_dot_product_attention(
      q, k, v, bias.defined() ? std::optional(bias) : std::optional<at::Tensor>(), 0, false, std::optional(1.0)));
}

at::Tensor fused_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias) {
#if defined(__x86_64__)
  if (has_kernel(q)) {
    const std::int64_t tokens = q.size(2), width = q.size(3);
    return q.scalar_type() == at::kFloat
               ? by_kernel<float>(q, k, v, bias, attention_scratch(tokens, width))
               : by_kernel<std::uint16_t>(q, k, v, bias, attention_scratch_bf16(tokens, width));
  }
#endif
  return composed_attention(q, k, v, bias);
}

}  // namespace vitrine
