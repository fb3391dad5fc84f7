#include "tools/commands/cache/teacher/deep_values.h"

#include <algorithm>
#include <cmath>

#include "common/base/error.h"
#include "common/base/philox.h"
#include "common/codec/make_codec.h"
#include "common/teacher/teacher.h"
#include "tools/inspect/verify_codecs.h"

namespace vitrine {
namespace {

double squared(double x) {
  return x * x;
}

double spread_of_logits(std::span<const float> x, std::uint32_t views) {
  const std::size_t classes = x.size() / views;
  double energy = 0;
  for (std::size_t first = 0; first < x.size(); first += classes) {
    const auto view = x.subspan(first, classes);
    double mean = 0;
    for (const float value : view) mean += value / static_cast<double>(classes);
    for (const float value : view) energy += squared(value - mean);
  }
  return energy;
}

// Estimates Σ|x − μ|² about the mean map of many views from a few views.
double spread_about_positions(std::span<const float> x, std::uint32_t views) {
  const std::size_t values = x.size() / views;
  double energy = 0;
  for (std::size_t i = 0; i < values; ++i) {
    double mean = 0;
    for (std::size_t at = i; at < x.size(); at += values) mean += x[at] / static_cast<double>(views);
    for (std::size_t at = i; at < x.size(); at += values) energy += squared(x[at] - mean);
  }
  return views > 1 ? energy * views / (views - 1) : energy;
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - b[i]));
  return largest;
}

double ratio(double value, double limit) {
  return value > 0 ? value / limit : 0;
}

}  // namespace

double arithmetic_distance(const std::string& precision, bool same_kind) {
  if (precision == "fp32") return same_kind ? 1e-4 : 1e-3;
  return same_kind ? 1e-2 : 3e-2;
}

double ValueFigures::excess() const {
  return std::max({bound > 0 ? ratio(error, bound) : error, tolerance > 0 ? ratio(difference, tolerance) : 0,
                   value_bound > 0 ? ratio(value_error, value_bound) : 0});
}

std::string ValueFigures::why() const {
  if (bound > 0 && error > bound) return "its error against the teacher's values exceeds the codec's bound";
  if (value_bound > 0 && value_error > value_bound)
    return text("a value is off by ", value_error, ", but the codec's bound is ", value_bound);
  return beyond() ? "it differs from the teacher's values after its codec" : "";
}

// A metric, so distances satisfy the triangle inequality; shown() converts them to the reported figures.
class ValueCheck::Metric {
 public:
  Metric(const TrackInfo& track, const FeatureBasis* basis, std::span<const float> now, std::uint32_t views)
      : now_(now), row_(track.kind == "attention" ? now.size() / views / track.shape[0] : 0) {
    if (row_ > 0) return;
    energy_ = track.kind == "logits"
                  ? spread_of_logits(now, views)
                  : measure_loss(track.kind, track.shape, views, now, now,
                                 basis != nullptr ? std::span<const float>(basis->mean) : std::span<const float>())
                        .energy;
    if (!(energy_ > 0)) energy_ = 1;  // constant values: shares are undefined
  }

  double energy() const { return energy_; }
  double distance(std::span<const float> a, std::span<const float> b) const {
    double sum = 0, largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double apart = std::fabs(static_cast<double>(a[i]) - b[i]);
      if (row_ == 0) {
        sum += apart * apart;
        continue;
      }
      sum += apart / 2;
      if ((i + 1) % row_ == 0) largest = std::max(largest, sum), sum = 0;
    }
    return row_ == 0 ? std::sqrt(sum / energy_) : largest;
  }
  // The distance of changing one value by `apart`.
  double distance_of(double apart) const { return row_ == 0 ? apart / std::sqrt(energy_) : apart / 2; }
  double shown(double distance) const { return row_ == 0 ? distance * distance : distance; }

  // The root mean square of values about μ; for probabilities 1.
  double scale() const { return row_ == 0 ? std::sqrt(energy_ / static_cast<double>(now_.size())) : 1; }
  // The values, randomly perturbed by `distance` in total. Probabilities change by relative amounts and stay
  // probabilities.
  std::vector<float> perturbed(double distance) const {
    RandomStream draws(0, Purpose::kSample);
    std::vector<float> out(now_.begin(), now_.end());
    for (float& x : out) {
      const double by = distance * std::sqrt(3.0) * draws.uniform(-1, 1);
      x = static_cast<float>(row_ == 0 ? x + by * scale() : std::min(x * (1 + by), std::max(1.0, double{x})));
    }
    return out;
  }

 private:
  std::span<const float> now_;
  std::size_t row_;  // attention: positions of a head
  double energy_ = 1;
};

ValueCheck::ValueCheck(const TrackInfo& track, const Codec& codec, const FeatureBasis* basis)
    : track_(track), codec_(codec), basis_(basis) {
  try {
    for (const CodecSettings& settings : earlier_codecs(track)) {
      if (settings.encoding == Encoding::kTransform)
        links_.push_back(settings.max_error);
      else
        earlier_.push_back(make_codec(settings, track.shape));
    }
  } catch (const Error& error) {
    no_verdict_ = text(error.what(), ", so its error has no known bound");
  }
  double wide = track.codec.encoding == Encoding::kTransform ? std::sqrt(track.codec.max_error) : 0;
  for (const double link : links_) wide += std::sqrt(link);
  if (!links_.empty() && wide >= 1) no_verdict_ = "the combined bounds of its codecs exceed the features' variation";
}

std::vector<float> ValueCheck::through(std::vector<float> values, std::uint32_t views) const {
  for (const auto& codec : earlier_) through_codec(*codec, views, values);
  through_codec(codec_, views, values);
  return values;
}

ValueFigures ValueCheck::compare(std::span<const float> now, std::span<const float> stored, std::uint32_t views,
                                 double arithmetic, bool whole) const {
  // Safety factor, as one draw of the noise is not the worst case.
  constexpr double kTimes = 4;
  const Metric metric(track_, basis_, now, views);
  ValueFigures figures;
  figures.error = metric.shown(metric.distance(stored, now));
  figures.loss = measure_loss(track_.kind, track_.shape, views, now, stored,
                              basis_ != nullptr ? std::span<const float>(basis_->mean) : std::span<const float>());
  if (!no_verdict_.empty()) return figures;
  const std::vector<float> coded = through({now.begin(), now.end()}, views);
  const std::vector<float> perturbed = through(metric.perturbed(arithmetic), views);
  // A value between two levels may be rounded to either; always allow this for one value.
  const double one_value = metric.distance_of(2 * largest_difference(coded, now));
  const double tolerance = arithmetic + kTimes * metric.distance(coded, perturbed) + one_value;
  const bool replayed = links_.empty() && (whole || track_.codec.encoding != Encoding::kTransform);
  figures.identical = replayed && std::ranges::equal(stored, coded);
  double bound = metric.distance(coded, now) + tolerance;
  if (replayed) {
    figures.difference = metric.shown(metric.distance(stored, coded));
    figures.tolerance = metric.shown(tolerance);
  }
  if (links_.empty()) {
    // The transform's bound holds for every group.
    if (track_.codec.encoding == Encoding::kTransform && earlier_.empty())
      bound = std::sqrt(track_.codec.max_error) + arithmetic;
    if (track_.codec.encoding == Encoding::kUniform && earlier_.empty()) {
      figures.value_error = largest_difference(stored, now);
      figures.value_bound = track_.codec.max_error + 10 * arithmetic * metric.scale();
    }
  }
  // Bounds are shares of the energy about another basis's mean: allow half more than estimated from these views.
  const double about_mean = links_.empty() ? 0 : std::max(1.0, spread_about_positions(now, views) / metric.energy());
  for (const double link : links_) bound += std::sqrt(1.5 * link * about_mean);
  figures.bound = metric.shown(bound);
  return figures;
}

}  // namespace vitrine
