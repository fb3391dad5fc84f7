// Writes the losses and their gradients as safetensors, for comparison by loss_peer.py.
// clang-format off
//   peer_values losses IN OUT    IN holds the tensors of loss_peer.py; OUT gets NAME.value and NAME.gradient of each loss
// clang-format on
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <functional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/models/weights/safetensors.h"
#include "common/teacher/class_map.h"
#include "tests/support/peer_values.h"
#include "train/losses/terms.h"
#include "train/losses/topk.h"

namespace vitrine::testing {

void dump_losses(const Arguments& a) {
  if (a.size() != 2) fail("losses takes IN OUT");
  at::set_num_threads(1);
  const Tensors in = load_safetensors(a[0]);
  const at::Tensor &teacher = in.at("teacher"), &target = in.at("target"), &attention = in.at("attention");
  const MixedLabels labels{in.at("label"), in.at("partner_label"), in.at("own_share")};
  const MixedLabels some{in.at("some_label"), in.at("some_partner_label"), in.at("own_share"), false};
  Tensors out;
  const auto put = [&](const std::string& name, const at::Tensor& start,
                       const std::function<at::Tensor(const at::Tensor&)>& loss) {
    const at::Tensor x = start.clone().requires_grad_();
    const at::Tensor value = loss(x);
    value.backward();
    out.emplace(name + ".value", value.detach().reshape({1}));
    out.emplace(name + ".gradient", x.grad().contiguous());
  };
  /// A student whose logits are a nonlinear function of its features.
  const auto logits_of = [&](const at::Tensor& features) {
    return at::linear(at::tanh(at::linear(features.flatten(1), in.at("hidden"))), in.at("head"));
  };

  constexpr double kTau = 3;
  const at::Tensor& logits = in.at("student");
  put("kl", logits, [&](const at::Tensor& x) { return kl_divergence(x, teacher, kTau); });
  const TopkLogits kept{in.at("kept_values"), in.at("kept_indices"), in.at("kept_tail")};
  put("kl.kept", logits, [&](const at::Tensor& x) { return topk_kl_divergence(x, kept, kTau); });
  put("ce", logits, [&](const at::Tensor& x) { return cross_entropy(x, labels, 0.1); });
  put("dkd", logits, [&](const at::Tensor& x) { return decoupled_kl(x, teacher, labels, kTau, 1.5, 6); });
  put("dist", logits, [&](const at::Tensor& x) { return correlation_distance(x, teacher, kTau, 2, 0.5); });
  put("ofa", logits, [&](const at::Tensor& x) { return adaptive_target(x, teacher, labels, kTau, 1.4); });

  put("ce.some", logits, [&](const at::Tensor& x) { return cross_entropy(x, some, 0.1); });
  put("dkd.some", logits, [&](const at::Tensor& x) { return decoupled_kl(x, teacher, some, kTau, 1.5, 6); });
  put("ofa.some", logits, [&](const at::Tensor& x) { return adaptive_target(x, teacher, some, kTau, 1.4); });

  // A teacher of more classes, of which some are the student's.
  const at::Tensor &wide = in.at("wide_teacher"), &student_of = in.at("student_of");
  std::vector<std::uint32_t> to;
  for (std::int64_t t = 0; t < student_of.size(0); ++t)
    to.push_back(static_cast<std::uint32_t>(student_of[t].item<std::int64_t>()));  // -1 is kNowhere
  const ClassMap map(to, static_cast<std::uint32_t>(logits.size(1)), "student_of");
  std::vector<float> mapped = map.compact({wide.data_ptr<float>(), static_cast<std::size_t>(wide.numel())},
                                          static_cast<std::uint32_t>(wide.size(0)));
  const std::vector<std::int64_t> columns(map.columns().begin(), map.columns().end());
  const at::Tensor few = at::from_blob(mapped.data(), {wide.size(0), static_cast<std::int64_t>(columns.size())});
  put("kl.mapped", logits,
      [&](const at::Tensor& x) { return kl_divergence(x.index_select(1, at::tensor(columns)), few, kTau); });

  const at::Tensor& features = in.at("features");
  put("feature.plain", features, [&](const at::Tensor& x) { return feature_distance(x, target, FeatureForm::kPlain); });
  put("feature.normalised", features,
      [&](const at::Tensor& x) { return feature_distance(x, target, FeatureForm::kNormalised); });
  put("feature.cosine", features,
      [&](const at::Tensor& x) { return feature_distance(x, target, FeatureForm::kCosine); });

  const at::Tensor weights = attention_weights(attention, features.size(2), features.size(3), 0.7);
  for (const auto& [name, form] : {std::pair{"plain", FeatureForm::kPlain},
                                   {"normalised", FeatureForm::kNormalised},
                                   {"cosine", FeatureForm::kCosine}})
    put(std::string("feature.weighted.") + name, features,
        [&](const at::Tensor& x) { return feature_distance(x, target, form, weights); });

  for (const auto& [name, scaling] : {std::pair{"code", MapScaling::kCode}, {"paper", MapScaling::kPaper}}) {
    put(std::string("attention.") + name, features,
        [&](const at::Tensor& x) { return attention_transfer(x, attention, scaling); });
    for (const auto& [whose, score] :
         {std::pair{"labels", GuidanceScore::kLabels}, {"teacher", GuidanceScore::kTeacher}})
      put(std::string("guidance.") + name + "." + whose, features, [&](const at::Tensor& x) {
        return gradient_guidance(x, guidance_score(logits_of(x), teacher, labels, score), attention, scaling);
      });
  }
  put("scaled_gradient", features, [&](const at::Tensor& x) {
    const at::Tensor tapped = x * 1;  // a stage's output: the gradient before it is not scaled
    guide_gradient(tapped, attention, 0.7);
    return cross_entropy(logits_of(tapped), labels);
  });
  save_safetensors(a[1], out);
}

}  // namespace vitrine::testing
