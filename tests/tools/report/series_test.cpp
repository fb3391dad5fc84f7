#include "tools/commands/report/series.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/testing.h"

using namespace vitrine;

TEST_CASE("a short series keeps every sample") {
  Series series;
  for (int i = 0; i < 300; ++i) series.add(i, 2 * i);
  REQUIRE(series.buckets().size() == 300);
  for (std::size_t i = 0; i < 300; ++i) {
    const Bucket& bucket = series.buckets()[i];
    CHECK(bucket.count == 1);
    CHECK(bucket.x() == static_cast<double>(i));
    CHECK(bucket.mean() == 2 * static_cast<double>(i));
  }
  CHECK(series.last() == 598);
}

TEST_CASE("a long series has a few hundred buckets that hold all samples in order, with their extremes") {
  for (const std::uint64_t samples : {321u, 1000u, 99999u, 1000000u}) {
    CAPTURE(samples);
    Series series;
    const std::uint64_t dip = samples / 3, peak = samples - 2;
    double sum = 0;
    const auto value = [&](std::uint64_t i) { return i == dip ? -7.0 : i == peak ? 9.0 : static_cast<double>(i % 5); };
    for (std::uint64_t i = 0; i < samples; ++i) {
      series.add(static_cast<double>(i), value(i));
      sum += value(i);
    }
    const std::vector<Bucket>& buckets = series.buckets();
    CHECK(buckets.size() <= Series::kMostBuckets);
    CHECK(buckets.size() >= Series::kMostBuckets / 2);
    std::uint64_t next = 0;
    double low = 0, high = 0, total = 0;
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      const Bucket& bucket = buckets[b];
      REQUIRE(bucket.first_x == static_cast<double>(next));
      REQUIRE(bucket.last_x == static_cast<double>(next + bucket.count - 1));
      if (b + 1 < buckets.size()) REQUIRE(bucket.count == buckets[0].count);
      next += bucket.count;
      low = std::min(low, bucket.low);
      high = std::max(high, bucket.high);
      total += bucket.sum;
    }
    CHECK(next == samples);
    CHECK(low == -7);
    CHECK(high == 9);
    CHECK(total == doctest::Approx(sum));
    CHECK(series.count() == samples);
    CHECK(series.mean() == doctest::Approx(sum / static_cast<double>(samples)));
  }
}

TEST_CASE("values that are not finite are left out") {
  Series series;
  series.add(1, std::numeric_limits<double>::quiet_NaN());
  series.add(2, std::numeric_limits<double>::infinity());
  CHECK(series.empty());
  CHECK(series.mean() == 0);
  series.add(3, 5);
  CHECK(series.buckets().size() == 1);
  CHECK(series.buckets()[0].x() == 3);
}
