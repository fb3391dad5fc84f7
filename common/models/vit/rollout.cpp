#include "common/models/vit/rollout.h"

#include <ATen/ATen.h>

namespace vitrine {

void Rollout::add(std::int64_t views, const std::function<at::Tensor(std::int64_t)>& mean_attention) {
  products_.resize(static_cast<std::size_t>(views));
  for (std::int64_t view = 0; view < views; ++view) {
    at::Tensor step = 0.5 * mean_attention(view);
    step.diagonal().add_(0.5);
    step = step / step.sum(1, /*keepdim=*/true);
    at::Tensor& product = products_[static_cast<std::size_t>(view)];
    product = product.defined() ? at::matmul(step, product) : step;
  }
}

at::Tensor Rollout::row() const {
  const at::Tensor products = at::stack(products_);
  const std::int64_t patches = products.size(1) - prefix_tokens_;
  const at::Tensor rows =
      class_token_ ? products.narrow(1, 0, 1) : products.narrow(1, prefix_tokens_, patches).mean(1, /*keepdim=*/true);
  return rows.narrow(2, prefix_tokens_, patches);
}

}  // namespace vitrine
