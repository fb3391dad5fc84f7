#include "train/losses/terms.h"

#include <ATen/autocast_mode.h>
#include <torch/nn/functional/loss.h>
#include <ATen/ATen.h>

#include "tests/support/testing.h"
#include "tests/train/gradients.h"

using namespace vitrine;
using testing::gradient_error;
using testing::normal;

namespace {

at::Tensor doubles(std::vector<double> values, at::IntArrayRef shape) {
  return at::tensor(values, at::kDouble).reshape(shape).clone();
}

MixedLabels mixed_labels() {
  return {at::tensor({0, 2, 1}, at::kLong), at::tensor({1, 2, 0}, at::kLong),
          at::tensor({0.25, 1.0, 0.75}, at::kDouble)};
}

}  // namespace

TEST_CASE("KL is zero for equal logits and for logits that differ by a constant") {
  const at::Tensor logits = normal({4, 7}, 1);
  CHECK(kl_divergence(logits, logits, 4).item<double>() == doctest::Approx(0).epsilon(1e-12));
  CHECK(std::abs(kl_divergence(logits + 3, logits, 4).item<double>()) < 1e-12);
}

TEST_CASE("KL is KL(teacher, student) at the temperature, averaged over the batch") {
  // Two classes. Teacher logits τ·(ln 3, 0): p = (3/4, 1/4); student logits 0: q = (1/2, 1/2).
  const double tau = 2;
  const at::Tensor teacher = doubles({tau * std::log(3.0), 0, 0, 0}, {2, 2});
  const double first = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  CHECK(kl_divergence(at::zeros({2, 2}, at::kDouble), teacher, tau).item<double>() == doctest::Approx(first / 2));
}

TEST_CASE("decoupled KL equals KL when the others' weight is their share in the teacher") {
  const at::Tensor student = normal({1, 6}, 21), teacher = normal({1, 6}, 22) * 2;
  const MixedLabels labels{at::tensor({4}, at::kLong), at::tensor({0}, at::kLong), at::ones({1}, at::kDouble)};
  const double share = 1 - at::softmax(teacher / 3, 1)[0][4].item<double>();
  CHECK(decoupled_kl(student, teacher, labels, 3, 1, share).item<double>() ==
        doctest::Approx(kl_divergence(student, teacher, 3).item<double>()).epsilon(1e-12));
  // An almost certain label causes no cancellation.
  const at::Tensor sure = at::tensor({0.0, 0.0, 0.0, 0.0, 60.0, 1.0}, at::kDouble).view({1, 6});
  CHECK(decoupled_kl(sure.to(at::kFloat), sure.to(at::kFloat), labels, 1, 1, 8).item<double>() == 0);
  CHECK(std::isfinite(decoupled_kl(student, sure, labels, 1, 1, 8).item<double>()));
}

TEST_CASE("with exponent 1 the adaptive target is KL plus the teacher's entropy, whatever the labels") {
  const at::Tensor student = normal({3, 5}, 23), teacher = normal({3, 5}, 24);
  const at::Tensor p = at::softmax(teacher / 2, 1);
  const double entropy = -(p * p.log()).sum(1).mean().item<double>();
  CHECK(adaptive_target(student, teacher, mixed_labels(), 2, 1).item<double>() ==
        doctest::Approx(kl_divergence(student, teacher, 2).item<double>() + entropy).epsilon(1e-12));
}

TEST_CASE("the correlation distance is 0 for equal logits, and defined for a batch of one image") {
  const at::Tensor logits = normal({4, 5}, 25);
  CHECK(std::abs(correlation_distance(logits, logits, 2, 1, 1).item<double>()) < 1e-4);
  const at::Tensor one = logits.narrow(0, 0, 1), other = normal({1, 5}, 26);
  CHECK(correlation_distance(one, other, 2, 0, 1).item<double>() == doctest::Approx(1));
  const at::Tensor x = one.clone().requires_grad_();
  correlation_distance(x, other, 2, 1, 1).backward();
  CHECK(x.grad().isfinite().all().item<bool>());
}

TEST_CASE("a zero feature map does not lower the loss") {
  const at::Tensor target = normal({2, 3, 2, 2}, 27), none = at::zeros_like(target).requires_grad_();
  CHECK(feature_distance(none, target, FeatureForm::kNormalised).item<double>() == doctest::Approx(2));
  CHECK(feature_distance(none, target, FeatureForm::kCosine).item<double>() == doctest::Approx(1));
  CHECK(std::abs(feature_distance(target * 7, target, FeatureForm::kNormalised).item<double>()) < 1e-12);
  feature_distance(none, target, FeatureForm::kCosine).backward();
  CHECK(none.grad().isfinite().all().item<bool>());
}

TEST_CASE("guide_gradient keeps the gradient's size and moves it to positions that the teacher attends to") {
  const at::Tensor features = normal({1, 2, 1, 2}, 28);
  const auto gradient = [&](const at::Tensor& attention, double strength) {
    const at::Tensor x = features.clone().requires_grad_();
    const at::Tensor tapped = x * 1;
    guide_gradient(tapped, attention, strength);
    tapped.sum().backward();
    return x.grad();
  };
  const at::Tensor peaked = doubles({0.3, 0.1, 0.3, 0.1}, {1, 2, 1, 2});
  CHECK(at::allclose(gradient(at::full({1, 2, 1, 2}, 0.2, at::kDouble), 1), at::ones_like(features)));
  CHECK(at::allclose(gradient(peaked, 1), doubles({1.5, 0.5, 1.5, 0.5}, {1, 2, 1, 2})));
  CHECK(at::allclose(gradient(peaked, 0.5), doubles({1.25, 0.75, 1.25, 0.75}, {1, 2, 1, 2})));
}

TEST_CASE("gradient_map equals a computation by hand, and is 0 without a positive part") {
  // The score is 2·(sum of channel 0) − (sum of channel 1): weights 2 and −1 over two positions.
  const at::Tensor features = doubles({1, 2, 1, 5}, {1, 2, 1, 2}).requires_grad_();
  const at::Tensor score = (2 * features.select(1, 0).sum() - features.select(1, 1).sum()).view({1});
  CHECK(at::allclose(gradient_map(features, score), doubles({1, 0}, {1, 2})));  // relu(1, −1), normalised
  const at::Tensor none = gradient_guidance(features, -score * 0 - features.sum(), at::ones({1, 1, 1, 2}, at::kDouble));
  none.backward();
  CHECK(features.grad().isfinite().all().item<bool>());
}

TEST_CASE("gradient_map works in half precision, where the score's gradient itself would underflow") {
  at::manual_seed(1);
  const at::Tensor values = at::rand({2, 3, 4, 4}) + 0.1;
  const auto map = [&](at::ScalarType type) {
    const at::Tensor features = values.to(type).requires_grad_();
    // d score / d feature is 2e-8 and less; FP16's smallest number is 6e-8.
    const at::Tensor weights = at::tensor({3e-7, 2e-7, -1e-7}, at::kFloat);
    return gradient_map(features, (features.to(at::kFloat).mean({2, 3}) * weights).sum(1));
  };
  const at::Tensor half = map(at::kHalf), exact = map(at::kFloat);
  CHECK(exact.norm().item<double>() > 0.9);
  CHECK((half - exact).abs().max().item<double>() < 0.01);
}

TEST_CASE("cross entropy on mixed labels is the weighted sum of two cross entropies of torch") {
  const at::Tensor logits = normal({3, 5}, 2);
  const MixedLabels labels = mixed_labels();
  for (const double smoothing : {0.0, 0.1}) {
    const auto options =
        torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kNone).label_smoothing(smoothing);
    const at::Tensor own = torch::nn::functional::cross_entropy(logits, labels.label, options);
    const at::Tensor partner = torch::nn::functional::cross_entropy(logits, labels.partner_label, options);
    const at::Tensor expected = (labels.own_share * own + (1 - labels.own_share) * partner).mean();
    CHECK(cross_entropy(logits, labels, smoothing).item<double>() ==
          doctest::Approx(expected.item<double>()).epsilon(1e-12));
  }
}

TEST_CASE(
    "absent labels add nothing to cross entropy; complete labels give the same bits with and without `complete`") {
  const at::Tensor logits = normal({3, 5}, 2).to(at::kFloat);
  MixedLabels labels = mixed_labels();
  const at::Tensor whole = cross_entropy(logits, labels);
  labels.complete = false;
  CHECK(at::equal(cross_entropy(logits, labels), whole));

  // Of the first view only the partner's part has a label, of the second none, of the third both.
  labels.label = at::tensor({-1, -1, 1}, at::kLong);
  labels.partner_label = at::tensor({1, -1, 0}, at::kLong);
  const at::Tensor log_p = at::log_softmax(logits, 1).to(at::kDouble);
  const double hard =
      0.75 * log_p[0][1].item<double>() + 0.75 * log_p[2][1].item<double>() + 0.25 * log_p[2][0].item<double>();
  CHECK(cross_entropy(logits, labels).item<double>() == doctest::Approx(-hard / 3));
  const double even = 0.75 * log_p[0].mean().item<double>() + log_p[2].mean().item<double>();
  CHECK(cross_entropy(logits, labels, 0.1).item<double>() == doctest::Approx(-(0.9 * hard + 0.1 * even) / 3));
  labels.label = labels.partner_label = at::tensor({-1, -1, -1}, at::kLong);
  CHECK(cross_entropy(logits, labels, 0.1).item<double>() == 0);
}

TEST_CASE(
    "for views without labels decoupled KL is KL, the adaptive target's exponent is 1 and guidance has no score") {
  const at::Tensor student = normal({3, 5}, 23), teacher = normal({3, 5}, 24);
  const at::Tensor none = at::full({3}, -1, at::kLong);
  const MixedLabels labels{none, none, mixed_labels().own_share, false};
  CHECK(decoupled_kl(student, teacher, labels, 3, 1, 8).item<double>() ==
        doctest::Approx(kl_divergence(student, teacher, 3).item<double>()).epsilon(1e-12));
  CHECK(adaptive_target(student, teacher, labels, 2, 3).item<double>() ==
        doctest::Approx(adaptive_target(student, teacher, mixed_labels(), 2, 1).item<double>()).epsilon(1e-12));
  CHECK(guidance_score(student, {}, labels, GuidanceScore::kLabels).abs().max().item<double>() == 0);
  // Such a map has a zero, finite gradient.
  const at::Tensor features = normal({3, 4, 2, 2}, 25).requires_grad_();
  const at::Tensor score = guidance_score(features.flatten(1).narrow(1, 0, 5) * 2, {}, labels, GuidanceScore::kLabels);
  gradient_guidance(features, score, at::ones({3, 1, 2, 2}, at::kDouble)).backward();
  CHECK(features.grad().abs().max().item<double>() == 0);
}

TEST_CASE("the plain feature distance is the mean of squares") {
  const at::Tensor student = doubles({1, 2, 3, 4}, {1, 2, 1, 2});
  const at::Tensor target = doubles({0, 2, 5, 3}, {1, 2, 1, 2});
  CHECK(feature_distance(student, target).item<double>() == doctest::Approx((1 + 0 + 4 + 1) / 4.0));
  CHECK_THROWS_AS(feature_distance(student, target.flatten()), std::logic_error);
}

TEST_CASE("attention transfer equals a computation by hand") {
  // Squares' mean over two channels: (3, 4), norm 5. The heads' mean over 2×4 pooled to 1×2: (1, 0).
  const at::Tensor student = doubles({std::sqrt(6.0), 2, 0, -2}, {1, 2, 1, 2});
  const at::Tensor attention = doubles({.5, .5, 0, 0, .5, .5, 0, 0, .1, .1, 0, 0, .1, .1, 0, 0}, {1, 2, 2, 4});
  const double expected = ((0.6 - 1) * (0.6 - 1) + 0.8 * 0.8) / 2;
  CHECK(attention_transfer(student, attention).item<double>() == doctest::Approx(expected));
  CHECK(attention_transfer(student * 7, attention * 3).item<double>() == doctest::Approx(expected));
  // As the paper scales it: half of the distance.
  CHECK(attention_transfer(student, attention, MapScaling::kPaper).item<double>() ==
        doctest::Approx(0.5 * std::sqrt(2 * expected)));
}

TEST_CASE("the loss is r·D + (1−r)·CE, and absent terms drop out") {
  const auto scalar = [](double value) { return at::scalar_tensor(value, at::kDouble); };
  const LossOptions options{.temperature = 3, .attention_weight = 0.5};
  const LossWeights weights{.r = 0.75, .w_out = 0.4, .w_feat = 0.6};
  LossTerms terms{{scalar(2), scalar(3), scalar(5), scalar(7)}};
  const double output = 0.4 * 9 * 2, feature = 0.6 * 3, attention = 0.6 * 0.5 * 5, label = 7;
  CHECK(combine(terms, options, weights).item<double>() ==
        doctest::Approx(0.75 * (output + feature + attention) + 0.25 * label));
  terms.feature.reset();
  terms.attention.reset();
  CHECK(combine(terms, options, weights).item<double>() == doctest::Approx(0.75 * output + 0.25 * label));
  terms.output.reset();
  CHECK(combine(terms, options, {.r = 0}).item<double>() == doctest::Approx(label));
  CHECK_THROWS_AS(combine({}, options, weights), std::logic_error);
}

TEST_CASE("every term of the table has a weight, and is added") {
  LossOptions options;
  options.exits_weight = 0.5;
  for (const auto& [key, member] : kLossTerms<at::Tensor>) {
    CAPTURE(key);
    LossTerms one, sum;
    one.*member = at::scalar_tensor(3, at::kDouble);
    CHECK(combine(one, options, {}).item<double>() > 0);
    sum.add(one, 0.25);
    sum.add(one, 0.5);
    REQUIRE((sum.*member).defined());
    CHECK((sum.*member).item<double>() == 0.75 * 3);
  }
}

TEST_CASE("every loss's gradient matches finite differences, and the teacher has none") {
  const at::Tensor logits = normal({3, 5}, 3).requires_grad_();
  const at::Tensor features = normal({2, 3, 4, 4}, 4).requires_grad_();
  const at::Tensor teacher_logits = normal({3, 5}, 5).requires_grad_();
  const at::Tensor target = normal({2, 3, 4, 4}, 6).requires_grad_();
  const at::Tensor attention = normal({2, 2, 8, 8}, 7).abs().requires_grad_();

  CHECK(gradient_error([&] { return kl_divergence(logits, teacher_logits, 4); }, logits) < 1e-8);
  CHECK(gradient_error([&] { return cross_entropy(logits, mixed_labels(), 0.1); }, logits) < 1e-8);
  CHECK(gradient_error([&] { return feature_distance(features, target); }, features) < 1e-8);
  CHECK(gradient_error([&] { return attention_transfer(features, attention); }, features) < 1e-8);
  CHECK_FALSE(teacher_logits.grad().defined());
  CHECK_FALSE(target.grad().defined());
  CHECK_FALSE(attention.grad().defined());
}

TEST_CASE("losses of half precision inputs are computed in single precision, also under autocast") {
  const at::Tensor student = normal({4, 9}, 8).to(at::kBFloat16);
  const at::Tensor teacher = normal({4, 9}, 9).to(at::kHalf);
  const double expected = kl_divergence(student.to(at::kDouble), teacher.to(at::kDouble), 4).item<double>();
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  const at::Tensor loss = kl_divergence(student, teacher, 4);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  CHECK((loss.scalar_type() == at::kFloat));
  CHECK(loss.item<double>() == doctest::Approx(expected).epsilon(1e-5));
}
