#include "common/models/vit/attention.h"

#include <ATen/ATen.h>

#include <ATen/Version.h>

#include <optional>

#include "common/codec/isa.h"
#include "common/models/vit/attention_avx512.h"

namespace vitrine {
namespace {

// What a track records of the processor decides, not what it could do.
bool has_attention_kernel() {
  static const bool has = at::get_cpu_capability() == "AVX512" && best_isa() == Isa::kAvx512;
  return has;
}

}  // namespace

at::Tensor composed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias) {
  const at::Tensor mixed = at::scaled_dot_product_attention(
      q, k, v, bias.defined() ? std::optional(bias) : std::optional<at::Tensor>(), 0, false, std::optional(1.0));
  return mixed.transpose(1, 2).flatten(2);
}

#if defined(__x86_64__)
at::Tensor fused_attention(const at::Tensor& given_q, const at::Tensor& given_k, const at::Tensor& given_v,
                           const at::Tensor& given_bias) {
  const std::int64_t views = given_q.size(0), heads = given_q.size(1), tokens = given_q.size(2),
                     width = given_q.size(3);
  if (!has_attention_kernel() || tokens < kLeastAttentionTokens)
    return composed_attention(given_q, given_k, given_v, given_bias);
  const auto adjacent = [](const at::Tensor& x) { return x.stride(3) == 1 ? x : x.contiguous(); };
  const at::Tensor q = adjacent(given_q), k = adjacent(given_k), v = adjacent(given_v);
  const at::Tensor bias =
      given_bias.defined() ? given_bias.expand({1, heads, tokens, tokens}).contiguous() : at::Tensor();
  const at::Tensor out = at::empty({views, tokens, heads * width}, q.options());
  const at::Tensor scratch = at::empty({attention_scratch(tokens, width)}, q.options());
  for (std::int64_t n = 0; n < views; ++n)
    for (std::int64_t h = 0; h < heads; ++h) {
      const auto head = [&](const at::Tensor& x) {
        return HeadRows{x.const_data_ptr<float>() + n * x.stride(0) + h * x.stride(1), x.stride(2)};
      };
      attention_avx512(head(q), head(k), head(v),
                       bias.defined() ? bias.const_data_ptr<float>() + h * tokens * tokens : nullptr, tokens, width,
                       out.mutable_data_ptr<float>() + (n * tokens * heads + h) * width, heads * width,
                       scratch.mutable_data_ptr<float>());
    }
  return out;
}
#else
at::Tensor fused_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias) {
  return composed_attention(q, k, v, bias);
}
#endif

}  // namespace vitrine
