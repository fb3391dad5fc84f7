#include "train/losses/topk.h"

#include <ATen/ATen.h>

#include <limits>

#include "tests/support/testing.h"
#include "tests/train/gradients.h"
#include "train/losses/terms.h"

using namespace vitrine;
using vitrine::testing::gradient_error;
using vitrine::testing::normal;

namespace {

// The topk track's values for these logits.
TopkLogits keep(const at::Tensor& logits, std::int64_t kept, double temperature) {
  const auto [values, indices] = logits.topk(kept, 1);
  const at::Tensor others =
      (logits / temperature).scatter(1, indices, -std::numeric_limits<double>::infinity()).logsumexp(1);
  return {values, indices, others};
}

}  // namespace

TEST_CASE("the gradient of topk KL matches finite differences") {
  for (const double temperature : {1.0, 4.0}) {
    const TopkLogits teacher = keep(3 * normal({4, 7}, 1), 3, temperature);
    at::Tensor student = normal({4, 7}, 2).requires_grad_();
    CHECK(gradient_error([&] { return topk_kl_divergence(student, teacher, temperature); }, student) < 1e-8);
  }
}

TEST_CASE("topk KL with all but one class kept equals the full KL") {
  const at::Tensor teacher = 3 * normal({5, 6}, 3), student = normal({5, 6}, 4);
  for (const double temperature : {1.0, 4.0})
    CHECK(topk_kl_divergence(student, keep(teacher, 5, temperature), temperature).item<double>() ==
          doctest::Approx(kl_divergence(student, teacher, temperature).item<double>()).epsilon(1e-10));
}

TEST_CASE("topk KL grows with the number of kept classes, up to the full KL, and is 0 for equal sides") {
  const at::Tensor teacher = 3 * normal({16, 50}, 5), student = 2 * normal({16, 50}, 6);
  double before = 0;
  for (const std::int64_t kept : {1, 5, 20, 49}) {
    const double now = topk_kl_divergence(student, keep(teacher, kept, 2), 2).item<double>();
    CHECK(now >= before - 1e-12);
    CHECK(std::abs(topk_kl_divergence(teacher, keep(teacher, kept, 2), 2).item<double>()) < 1e-12);
    before = now;
  }
  CHECK(before <= kl_divergence(student, teacher, 2).item<double>() + 1e-12);
}

TEST_CASE("topk KL is finite when the student gives the other classes almost no mass") {
  at::Tensor student = at::zeros({1, 4});
  student[0][2] = 200;
  const TopkLogits teacher{at::tensor({1.0f}).view({1, 1}), at::tensor({std::int64_t{2}}).view({1, 1}),
                           at::tensor({0.0f})};
  student.requires_grad_();
  const at::Tensor loss = topk_kl_divergence(student, teacher, 1);
  loss.backward();
  CHECK(loss.isfinite().item<bool>());
  CHECK(student.grad().isfinite().all().item<bool>());
  CHECK(loss.item<double>() > 10);
}

TEST_CASE("unpack_topk inverts pack_topk") {
  const std::vector<float> values{3, 2, 5, 4}, tail{-1, -2};
  const std::vector<std::uint32_t> indices{7, 2000000000, 0, 1};
  const TopkLogits back = unpack_topk(at::tensor(pack_topk(values, indices, tail)).view({2, 5}));
  CHECK(at::equal(back.values, at::tensor({3.0f, 2.0f, 5.0f, 4.0f}).view({2, 2})));
  CHECK(at::equal(
      back.indices,
      at::tensor({std::int64_t{7}, std::int64_t{2000000000}, std::int64_t{0}, std::int64_t{1}}).view({2, 2})));
  CHECK(at::equal(back.tail, at::tensor({-1.0f, -2.0f})));
}
