#include "common/codec/transform/encoder/calibrator.h"

#include <algorithm>
#include <cmath>

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
  const std::size_t c = channels_, positions = std::size_t{height_} * width_, each = sums_.size();
  const auto n = static_cast<double>(views_);
  FeatureBasis basis;
  basis.channels = channels_;
  basis.height = height_;
  basis.width = width_;
  basis.views = views_;
  std::vector<double> means = sums_;  // [C, positions]
  for (double& mean : means) mean /= n;
  std::vector<double> covariance = products_;
  for (double& product : covariance) product /= n * static_cast<double>(positions);
  std::vector<float> centres(each);  // [positions, C]
  for (std::size_t k = 0; k < c; ++k)
    for (std::size_t p = 0; p < positions; ++p) centres[p * c + k] = static_cast<float>(means[k * positions + p]);
  std::vector<double> of_means(c * c);
  transform::add_products(centres.data(), of_means.data(), positions, c);
  for (std::size_t i = 0; i < c * c; ++i) covariance[i] -= of_means[i] / static_cast<double>(positions);
  basis.mean.assign(means.begin(), means.end());
  const auto turn = [&](bool together) {  // else only sorts the channels, strongest first
    std::vector<double> matrix = covariance;
    for (std::size_t i = 0; i < c && !together; ++i)
      for (std::size_t j = 0; j < c; ++j)
        if (i != j) matrix[i * c + j] = 0;
    const transform::SymmetricEigen channels = transform::symmetric_eigen(std::move(matrix), c);
    basis.vectors.assign(channels.vectors.begin(), channels.vectors.end());
    basis.eigenvalues.assign(channels.values.begin(), channels.values.end());
  };
  turn(true);
  if (!(basis.eigenvalues[0] > 0))
    fail("the features are identical in all ", views_,
         " calibration views; check the teacher's weights and the images");
  basis.expected = expected_magnitudes();

  const auto kept = static_cast<std::uint32_t>(kept_.size() / each);
  std::vector<float> coefficients(kept_.size());
  transform::to_coefficients(basis, kept_, kept, coefficients);
  const transform::Slots slots(height_, width_);
  const auto with_scale = [&](FeatureBasis made) {
    std::vector<float> items(kept_.size());
    transform::to_items(made, slots, coefficients, kept, items);
    made.scale.resize(each);
    std::vector<double> squares(positions);
    for (std::size_t k = 0; k < c; ++k) {
      double fourths = 0;  // mean over positions of the mean fourth power
      for (std::size_t s = 0; s < positions; ++s) {
        double sum = 0;
        for (std::size_t v = 0; v < kept; ++v) {
          const double y = items[(k * positions + s) * kept + v];
          sum += y * y;
          fourths += y * y * y * y / static_cast<double>(kept * positions);
        }
        squares[s] = sum / kept;
      }
      shrink(squares, fourths, kept);
      for (std::size_t s = 0; s < positions; ++s) {
        const double level = 8 * std::log2(std::max(squares[s], 1e-60));  // 16 log2 of the root mean square
        made.scale[k * positions + slots.position[s]] = static_cast<std::int16_t>(std::lround(level));
      }
    }
    return made;
  };
  // Fits the levels to the first groups, then measures the bytes of those groups.
  const auto fitted = [&](FeatureBasis made, std::size_t* bytes) {
    const std::uint32_t views = std::min(group, kept), groups = std::clamp(kept / views, 1u, 4u);
    made.levels = transform::usual_levels();
    std::vector<std::vector<float>> items(groups, std::vector<float>(std::size_t{views} * each));
    std::vector<double> energies;
    transform::Tallies tallies;
    for (std::uint32_t g = 0; g < groups; ++g) {
      const auto own = std::span(coefficients).subspan(std::size_t{g} * views * each, std::size_t{views} * each);
      energies.push_back(transform::to_items(made, slots, own, views, items[g]));
      transform::encode_items(made, slots, items[g], energies[g], views, max_error, &tallies);
    }
    tallies.set_levels(made);
    *bytes = 0;
    for (std::uint32_t g = 0; g < groups; ++g)
      *bytes += transform::encode_items(made, slots, items[g], energies[g], views, max_error).size();
    return made;
  };
  std::size_t flat_bytes = 0, apart_bytes = 0, spatial_bytes = 0;
  FeatureBasis flat = fitted(with_scale(basis), &flat_bytes);
  // A rotation of independent channels only makes their variances more alike, so try without.
  const FeatureBasis turned = basis;
  turn(false);
  transform::to_coefficients(basis, kept_, kept, coefficients);
  FeatureBasis apart = fitted(with_scale(basis), &apart_bytes);
  if (apart_bytes < flat_bytes) {
    flat = std::move(apart);
    flat_bytes = apart_bytes;
  } else {
    basis = turned;
    transform::to_coefficients(basis, kept_, kept, coefficients);
  }
  // If the neighbourhood predicts little, a higher confidence in the usual size is better.
  const auto sure = [&](FeatureBasis made, std::size_t bytes) {
    for (const std::uint16_t confidence : kConfidences) {
      FeatureBasis other = made;
      other.confidence = confidence;
      std::size_t other_bytes = 0;
      other = fitted(std::move(other), &other_bytes);
      if (other_bytes >= bytes) break;
      bytes = other_bytes;
      made = std::move(other);
    }
    return made;
  };
  // One Karhunen-Loève basis for the rows and one for the columns of all channels' maps.
  std::vector<double> of_rows(std::size_t{height_} * height_), of_columns(std::size_t{width_} * width_);
  std::vector<float> map(positions);
  for (std::size_t m = 0; m < std::size_t{kept} * c; ++m) {
    transform::add_products(coefficients.data() + m * positions, of_columns.data(), height_, width_);
    transform::transpose(coefficients.data() + m * positions, map.data(), height_, width_);
    transform::add_products(map.data(), of_rows.data(), width_, height_);
  }
  const transform::SymmetricEigen rows = transform::symmetric_eigen(std::move(of_rows), height_);
  const transform::SymmetricEigen columns = transform::symmetric_eigen(std::move(of_columns), width_);
  basis.rows.assign(rows.vectors.begin(), rows.vectors.end());
  basis.columns.assign(columns.vectors.begin(), columns.vectors.end());
  basis = fitted(with_scale(std::move(basis)), &spatial_bytes);
  if (static_cast<double>(spatial_bytes) < kWorthIt * static_cast<double>(flat_bytes))
    return sure(std::move(basis), spatial_bytes);
  return sure(std::move(flat), flat_bytes);
}

}  // namespace vitrine
