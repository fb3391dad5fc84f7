// A curve of any length in a few hundred points, in one pass.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_SERIES_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_SERIES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vitrine {

/// Consecutive samples of a curve.
struct Bucket {
  double first_x = 0, last_x = 0;  ///< of its first and last sample
  double low = 0, high = 0;        ///< the smallest and the largest y
  double sum = 0;                  ///< of y
  std::uint64_t count = 0;

  double x() const { return (first_x + last_x) / 2; }
  double mean() const { return sum / static_cast<double>(count); }
};

/// Keeps all samples until there are kMostBuckets, then joins neighbours in pairs, and so on: buckets hold equally many
/// samples (the last may hold fewer), no minimum or maximum is lost, and memory does not depend on the length.
class Series {
 public:
  static constexpr std::size_t kMostBuckets = 320;  ///< even

  /// In the order of x. Ignores a sample whose y is not finite.
  void add(double x, double y);

  const std::vector<Bucket>& buckets() const { return buckets_; }
  bool empty() const { return buckets_.empty(); }
  std::uint64_t count() const { return count_; }
  /// Of all samples; 0 without any.
  double mean() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }
  /// y of the last sample; 0 without any.
  double last() const { return last_; }

 private:
  void join_pairs();

  std::vector<Bucket> buckets_;
  std::uint64_t per_bucket_ = 1, count_ = 0;
  double sum_ = 0, last_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_SERIES_H_
