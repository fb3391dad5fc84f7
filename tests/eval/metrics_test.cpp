#include "common/eval/metrics.h"

#include <ATen/ATen.h>

#include <limits>

#include "common/base/error.h"
#include "tests/support/testing.h"

using namespace vitrine;

namespace {

/// Logits of two classes whose softmax gives the first one `probability`.
at::Tensor sure_of_first(std::vector<double> probability) {
  const at::Tensor p = at::tensor(probability, at::kDouble);
  return at::stack({p.log(), (1 - p).log()}, 1);
}

}  // namespace

TEST_CASE("images and hits are counted per class over batches, and their sums equal the accuracy") {
  at::manual_seed(3);
  const auto logits = at::randn({60, 4});
  const auto labels = at::randint(0, 3, {60}, at::kLong);  // the last class has no images
  ClassificationMetrics metrics(4);
  metrics.add(logits.slice(0, 0, 25), labels.slice(0, 0, 25));
  metrics.add(logits.slice(0, 25), labels.slice(0, 25));
  std::uint64_t images = 0, right = 0;
  for (std::int64_t c = 0; c < 4; ++c) {
    const Hits& hits = metrics.classes()[static_cast<std::size_t>(c)];
    CHECK(hits.images == static_cast<std::uint64_t>(labels.eq(c).sum().item<std::int64_t>()));
    CHECK(hits.right ==
          static_cast<std::uint64_t>(logits.argmax(1).eq(labels).logical_and(labels.eq(c)).sum().item<std::int64_t>()));
    images += hits.images;
    right += hits.right;
  }
  CHECK(metrics.classes()[3].share() == 0);
  CHECK(metrics.accuracy().images == images);
  CHECK(metrics.accuracy().top1 == doctest::Approx(static_cast<double>(right) / 60));
  CHECK_FALSE(metrics.agreement().has_value());
}

TEST_CASE("the calibration error equals a computation by hand") {
  // Bins of width 1/15. 0.9 and 0.92 lie in the 14th (12/15 = .867, .933]: one of two right, mean confidence 0.91.
  // 0.7 lies in the 11th, alone and right.
  ClassificationMetrics metrics(2);
  metrics.add(sure_of_first({0.9, 0.92, 0.7}), at::tensor({0, 1, 0}, at::kLong));
  CHECK(metrics.calibration_error() == doctest::Approx(2.0 / 3 * (0.91 - 0.5) + 1.0 / 3 * (1 - 0.7)));
  CHECK(metrics.confidence() == doctest::Approx((0.9 + 0.92 + 0.7) / 3));
  // In the same bin, errors of both signs cancel; in different ones they do not.
  ClassificationMetrics other(2);
  other.add(sure_of_first({0.7, 0.71}), at::tensor({0, 1}, at::kLong));
  CHECK(other.calibration_error() == doctest::Approx(0.205));
  CHECK(ClassificationMetrics(2).calibration_error() == 0);
}

TEST_CASE("a calibrated model has calibration error 0; a confident and wrong one has 1") {
  ClassificationMetrics fair(2), wrong(2);
  fair.add(sure_of_first({0.75, 0.75, 0.75, 0.75}), at::tensor({0, 0, 1, 0}, at::kLong));
  CHECK(fair.calibration_error() == doctest::Approx(0).epsilon(1e-12));
  wrong.add(at::tensor({100.0, 0.0}, at::kDouble).view({1, 2}), at::tensor({1}, at::kLong));
  wrong.add(at::full({1, 2}, std::numeric_limits<double>::quiet_NaN(), at::kDouble), at::tensor({1}, at::kLong));
  CHECK(wrong.calibration_error() == doctest::Approx(1));
  CHECK(wrong.classes()[1].right == 0);
}

TEST_CASE("agreement compares with the teacher, whatever the labels") {
  ClassificationMetrics metrics(2);
  metrics.add(sure_of_first({0.9, 0.8, 0.2}), at::tensor({1, 1, 1}, at::kLong), sure_of_first({0.6, 0.3, 0.4}));
  CHECK(metrics.agreement().value() == doctest::Approx(2.0 / 3));
  CHECK(metrics.accuracy().top1 == doctest::Approx(1.0 / 3));
  CHECK_THROWS_AS(metrics.add(at::zeros({1, 2}), at::tensor({0}, at::kLong), at::zeros({1, 3})), Error);
  CHECK_THROWS_AS(metrics.add(at::zeros({1, 3}), at::tensor({0}, at::kLong)), Error);
}
