#include "tools/commands/report/series.h"

#include <algorithm>
#include <cmath>

namespace vitrine {

void Series::add(double x, double y) {
  if (!std::isfinite(y)) return;
  ++count_;
  sum_ += y;
  last_ = y;
  if (buckets_.empty() || buckets_.back().count == per_bucket_) {
    if (buckets_.size() == kMostBuckets) join_pairs();
    if (buckets_.empty() || buckets_.back().count == per_bucket_) {
      buckets_.push_back({x, x, y, y, y, 1});
      return;
    }
  }
  Bucket& bucket = buckets_.back();
  bucket.last_x = x;
  bucket.low = std::min(bucket.low, y);
  bucket.high = std::max(bucket.high, y);
  bucket.sum += y;
  ++bucket.count;
}

void Series::join_pairs() {
  for (std::size_t i = 0; i + 1 < buckets_.size(); i += 2) {
    const Bucket &a = buckets_[i], &b = buckets_[i + 1];
    buckets_[i / 2] = {a.first_x,     b.last_x,         std::min(a.low, b.low), std::max(a.high, b.high),
                       a.sum + b.sum, a.count + b.count};
  }
  buckets_.resize(buckets_.size() / 2);
  per_bucket_ *= 2;
}

}  // namespace vitrine
