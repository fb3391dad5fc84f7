// Attention rollout (S. Abnar and W. Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020).
#ifndef VITRINE_COMMON_MODELS_VIT_ROLLOUT_H_
#define VITRINE_COMMON_MODELS_VIT_ROLLOUT_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace vitrine {

/// The product R = Â_l ... Â_1 Â_0 over the blocks added so far, where Â = (A + I) / 2 with its rows divided by their
/// sums, and A is a block's softmax weights averaged over the heads. FP32.
class Rollout {
 public:
  Rollout(std::int64_t prefix_tokens, bool class_token) : prefix_tokens_(prefix_tokens), class_token_(class_token) {}

  /// Adds the next block. `mean_attention`: returns A of a view, [tokens, tokens]. Views are taken one at a time, as
  /// the weights of all heads of all views would take heads · tokens² floats each.
  void add(std::int64_t views, const std::function<at::Tensor(std::int64_t)>& mean_attention);

  /// [N, 1, patches]: the class token's row of R over the patches; without a class token the mean of the patches' rows.
  at::Tensor row() const;

 private:
  std::int64_t prefix_tokens_;
  bool class_token_;
  std::vector<at::Tensor> products_;  ///< R of each view, [tokens, tokens]
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_ROLLOUT_H_
