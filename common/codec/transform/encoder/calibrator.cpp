#include "common/codec/transform/encoder/calibrator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/error.h"
#include "common/codec/transform/encoder/eigen.h"
#include "common/codec/transform/encoder/encode.h"
#include "common/codec/transform/items.h"
#include "common/codec/transform/linear.h"

namespace vitrine {
namespace {

constexpr std::size_t kKeptBytes = std::size_t{256} << 20;
// A transform over positions slows decoding; it must reduce the bytes to this share.
constexpr double kWorthIt = 0.995;
constexpr std::uint16_t kConfidences[] = {512, 4096};  // tried besides FeatureBasis's default
constexpr double kDeadZone = 0.66;                     // approximate dead zone of the encoder, assumed by `expected`

// Mean |k| of a Laplace distribution, by the ratio of its root mean square to the step.
std::vector<std::uint16_t> expected_magnitudes() {
  std::vector<std::uint16_t> out(FeatureBasis::kLevels);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double ratio = std::exp2((static_cast<double>(i) - 256) / FeatureBasis::kPerOctave);
    const double rate = std::sqrt(2.0) / ratio;
    const double mean = std::exp(-rate * kDeadZone) / -std::expm1(-rate);
    out[i] = static_cast<std::uint16_t>(std::clamp(std::lround(1024 * mean), 1l, 65535l));
  }
  return out;
}

// Shrinks the mean squares of a channel's slots, each estimated from `samples` views, towards their mean by the share
// of their variance that sampling explains (James–Stein).
void shrink(std::span<double> squares, double fourths, double samples) {
  double mean = 0, second = 0;
  for (const double square : squares) {
    mean += square / static_cast<double>(squares.size());
    second += square * square / static_cast<double>(squares.size());
  }
  const double observed = second - mean * mean, sampling = (fourths - second) / samples;
  const double own = observed > 0 ? std::clamp(1 - sampling / observed, 0.0, 1.0) : 0.0;
  for (double& square : squares) square = mean + own * (square - mean);
}

// What was added, per view.
struct Moments {
  std::vector<double> means;       // [C, positions]
  std::vector<double> covariance;  // [C, C] of channels, lower triangle
};

// `sums` [C, positions] and `products` [C, C] of n views.
Moments moments_of(const std::vector<double>& sums, const std::vector<double>& products, double n, std::size_t c) {
  const std::size_t positions = sums.size() / c;
  Moments out{sums, products};
  for (double& mean : out.means) mean /= n;
  for (double& product : out.covariance) product /= n * static_cast<double>(positions);
  std::vector<float> centres(sums.size());  // [positions, C]
  for (std::size_t k = 0; k < c; ++k)
    for (std::size_t p = 0; p < positions; ++p) centres[p * c + k] = static_cast<float>(out.means[k * positions + p]);
  std::vector<double> of_means(c * c);
  transform::add_products(centres.data(), of_means.data(), positions, c);
  for (std::size_t i = 0; i < c * c; ++i) out.covariance[i] -= of_means[i] / static_cast<double>(positions);
  return out;
}

// Sets the basis over channels: the covariance's eigenvectors, or, not `together`, the channels themselves, strongest
// first.
void set_vectors(FeatureBasis& basis, std::vector<double> covariance, bool together) {
  const std::size_t c = basis.channels;
  for (std::size_t i = 0; i < c && !together; ++i)
    for (std::size_t j = 0; j < c; ++j)
      if (i != j) covariance[i * c + j] = 0;
  const transform::SymmetricEigen channels = transform::symmetric_eigen(std::move(covariance), c);
  basis.vectors.assign(channels.vectors.begin(), channels.vectors.end());
  basis.eigenvalues.assign(channels.values.begin(), channels.values.end());
}

// A basis, and the bytes of the first groups with it.
struct Fitted {
  FeatureBasis basis;
  std::size_t bytes = 0;
};

// The kept views, which are encoded with one candidate for a basis after the other.
class Trials {
 public:
  // `kept`: [views, C, H, W]. `basis`: its sizes.
  Trials(std::span<const float> kept, const FeatureBasis& basis, double max_error, std::uint32_t group)
      : kept_(kept),
        views_(static_cast<std::uint32_t>(kept.size() / basis.values())),
        group_(group),
        max_error_(max_error),
        slots_(basis.height, basis.width),
        coefficients_(kept.size()) {}

  // Takes the coefficients over channels in this basis; what follows must have the same vectors.
  void turn(const FeatureBasis& basis) { transform::to_coefficients(basis, kept_, views_, coefficients_); }
  // One Karhunen-Loève basis for the rows and one for the columns of all channels' maps.
  void set_positions(FeatureBasis& basis) const;
  // The basis with its scale and levels set.
  Fitted fit(FeatureBasis basis) const { return fit_levels(with_scale(std::move(basis))); }
  // If the neighbourhood predicts little, a higher confidence in the usual size is better.
  Fitted with_confidence(Fitted best) const;

 private:
  FeatureBasis with_scale(FeatureBasis basis) const;
  // Fits the levels to the first groups, then measures the bytes of those groups.
  Fitted fit_levels(FeatureBasis basis) const;

  std::span<const float> kept_;
  std::uint32_t views_, group_;
  double max_error_;
  transform::Slots slots_;
  std::vector<float> coefficients_;
};

void Trials::set_positions(FeatureBasis& basis) const {
  const std::size_t h = basis.height, w = basis.width, positions = basis.positions();
  std::vector<double> of_rows(h * h), of_columns(w * w);
  std::vector<float> map(positions);
  for (std::size_t m = 0; m < std::size_t{views_} * basis.channels; ++m) {
    transform::add_products(coefficients_.data() + m * positions, of_columns.data(), h, w);
    transform::transpose(coefficients_.data() + m * positions, map.data(), h, w);
    transform::add_products(map.data(), of_rows.data(), w, h);
  }
  const transform::SymmetricEigen rows = transform::symmetric_eigen(std::move(of_rows), h);
  const transform::SymmetricEigen columns = transform::symmetric_eigen(std::move(of_columns), w);
  basis.rows.assign(rows.vectors.begin(), rows.vectors.end());
  basis.columns.assign(columns.vectors.begin(), columns.vectors.end());
}

FeatureBasis Trials::with_scale(FeatureBasis basis) const {
  const std::size_t positions = basis.positions();
  std::vector<float> items(kept_.size());
  transform::to_items(basis, slots_, coefficients_, views_, items);
  basis.scale.resize(basis.values());
  std::vector<double> squares(positions);
  for (std::size_t k = 0; k < basis.channels; ++k) {
    double fourths = 0;  // mean over positions of the mean fourth power
    for (std::size_t s = 0; s < positions; ++s) {
      double sum = 0;
      for (std::size_t v = 0; v < views_; ++v) {
        const double y = items[(k * positions + s) * views_ + v];
        sum += y * y;
        fourths += y * y * y * y / static_cast<double>(views_ * positions);
      }
      squares[s] = sum / views_;
    }
    shrink(squares, fourths, views_);
    for (std::size_t s = 0; s < positions; ++s) {
      const double level = 8 * std::log2(std::max(squares[s], 1e-60));  // 16 log2 of the root mean square
      basis.scale[k * positions + slots_.position[s]] = static_cast<std::int16_t>(std::lround(level));
    }
  }
  return basis;
}

Fitted Trials::fit_levels(FeatureBasis basis) const {
  const std::size_t each = basis.values();
  const std::uint32_t views = std::min(group_, views_), groups = std::clamp(views_ / views, 1u, 4u);
  basis.levels = transform::usual_levels();
  std::vector<std::vector<float>> items(groups, std::vector<float>(std::size_t{views} * each));
  std::vector<double> energies;
  transform::Tallies tallies;
  for (std::uint32_t g = 0; g < groups; ++g) {
    const auto own = std::span(coefficients_).subspan(std::size_t{g} * views * each, std::size_t{views} * each);
    energies.push_back(transform::to_items(basis, slots_, own, views, items[g]));
    transform::encode_items(basis, slots_, items[g], energies[g], views, max_error_, &tallies);
  }
  tallies.set_levels(basis);
  std::size_t bytes = 0;
  for (std::uint32_t g = 0; g < groups; ++g)
    bytes += transform::encode_items(basis, slots_, items[g], energies[g], views, max_error_).size();
  return {std::move(basis), bytes};
}

Fitted Trials::with_confidence(Fitted best) const {
  for (const std::uint16_t confidence : kConfidences) {
    FeatureBasis other = best.basis;
    other.confidence = confidence;
    Fitted fitted = fit_levels(std::move(other));
    if (fitted.bytes >= best.bytes) break;
    best = std::move(fitted);
  }
  return best;
}

}  // namespace

Calibrator::Calibrator(std::uint32_t channels, std::uint32_t height, std::uint32_t width)
    : channels_(channels),
      height_(height),
      width_(width),
      sums_(std::size_t{channels} * height * width),
      products_(std::size_t{channels} * channels) {}

void Calibrator::add(std::span<const float> values, std::uint32_t views) {
  const std::size_t each = sums_.size(), positions = std::size_t{height_} * width_;
  std::vector<float> tokens(each);
  for (std::size_t v = 0; v < views; ++v) {
    const std::span<const float> own = values.subspan(v * each, each);
    for (std::size_t i = 0; i < each; ++i) sums_[i] += static_cast<double>(own[i]);
    transform::transpose(own.data(), tokens.data(), channels_, positions);
    transform::add_products(tokens.data(), products_.data(), positions, channels_);
    if ((kept_.size() + each) * sizeof(float) <= kKeptBytes || kept_.empty())
      kept_.insert(kept_.end(), own.begin(), own.end());
  }
  views_ += views;
}

FeatureBasis Calibrator::finish(double max_error, std::uint32_t group) const {
  if (views_ == 0) fail("calibration has no views; raise taps.calibration_views");
  FeatureBasis basis;
  basis.channels = channels_;
  basis.height = height_;
  basis.width = width_;
  basis.views = views_;
  const Moments moments = moments_of(sums_, products_, static_cast<double>(views_), channels_);
  basis.mean.assign(moments.means.begin(), moments.means.end());
  set_vectors(basis, moments.covariance, true);
  if (!(basis.eigenvalues[0] > 0))
    fail("the features are identical in all ", views_,
         " calibration views; check the teacher's weights and the images");
  basis.expected = expected_magnitudes();

  Trials trials(kept_, basis, max_error, group);
  trials.turn(basis);
  Fitted flat = trials.fit(basis);
  // A rotation of independent channels only makes their variances more alike, so try without.
  FeatureBasis apart = basis;
  set_vectors(apart, moments.covariance, false);
  trials.turn(apart);
  if (Fitted fitted = trials.fit(apart); fitted.bytes < flat.bytes) {
    flat = std::move(fitted);
    basis = std::move(apart);
  } else {
    trials.turn(basis);
  }
  trials.set_positions(basis);
  Fitted spatial = trials.fit(std::move(basis));
  const bool worth_it = static_cast<double>(spatial.bytes) < kWorthIt * static_cast<double>(flat.bytes);
  return trials.with_confidence(std::move(worth_it ? spatial : flat)).basis;
}

}  // namespace vitrine
