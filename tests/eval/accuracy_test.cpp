#include <ATen/ATen.h>

#include "common/eval/accuracy.h"

#include <limits>

#include "common/base/error.h"
#include "tests/support/testing.h"

using namespace vitrine;

TEST_CASE("counts accumulated over batches equal torch's topk over all") {
  at::manual_seed(5);
  const auto logits = at::randn({50, 12});
  const auto labels = at::randint(0, 12, {50}, at::kLong);
  AccuracyCounts counts, other;
  counts.add(logits.slice(0, 0, 20), labels.slice(0, 0, 20));
  other.add(logits.slice(0, 20), labels.slice(0, 20));
  counts.add(other);
  const auto hits = std::get<1>(logits.topk(5, 1)).eq(labels.unsqueeze(1));
  const Accuracy accuracy = counts.accuracy();
  CHECK(accuracy.images == 50);
  CHECK(accuracy.top1 == doctest::Approx(hits.select(1, 0).sum().item<double>() / 50));
  CHECK(accuracy.top5 == doctest::Approx(hits.sum().item<double>() / 50));
  CHECK(accuracy.top5 > accuracy.top1);
}

TEST_CASE("with fewer than five classes every finite output is in the top five") {
  AccuracyCounts counts;
  counts.add(at::tensor({1.0f, 2.0f, 3.0f}).view({1, 3}), at::tensor({0}, at::kLong));
  CHECK(counts.accuracy().top1 == 0);
  CHECK(counts.accuracy().top5 == 1);
}

TEST_CASE("ties and NaN count against the model") {
  AccuracyCounts ties, nans;
  ties.add(at::zeros({4, 10}), at::arange(4));
  CHECK(ties.accuracy().top1 == 0);
  CHECK(ties.accuracy().top5 == 0);
  nans.add(at::full({4, 3}, std::numeric_limits<float>::quiet_NaN()), at::zeros({4}, at::kLong));
  CHECK(nans.accuracy().top5 == 0);
  CHECK(nans.accuracy().images == 4);
}

TEST_CASE("without images there is no accuracy, and invalid labels are refused") {
  AccuracyCounts counts;
  CHECK(counts.accuracy().images == 0);
  CHECK(counts.accuracy().top1 == 0);
  CHECK_THROWS_AS(counts.add(at::zeros({1, 3}), at::tensor({3}, at::kLong)), Error);
  CHECK_THROWS_AS(counts.add(at::zeros({1, 3}), at::tensor({-1}, at::kLong)), Error);
  CHECK_THROWS_AS(counts.add(at::zeros({2, 3}), at::tensor({0}, at::kLong)), Error);
}
