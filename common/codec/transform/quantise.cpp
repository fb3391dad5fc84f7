#include "common/codec/transform/quantise.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "common/codec/transform/blocks.h"
#include "common/codec/transform/clones.h"
#include "common/codec/transform/entropy.h"

namespace vitrine::transform {
namespace {

constexpr double kLambda = 0.13;  // squared steps that a bit is worth

// For a Laplace distribution with mean |k| as the class predicts: P(|k| ≥ 1) = q^0.65, P(|k| > n | |k| ≥ n) = q.
const Thresholds& thresholds(bool dead_zone) {
  static const Thresholds nearest = [] {
    Thresholds t{};
    std::ranges::fill(t.zero, 0.5f);
    std::ranges::fill(t.round, 0.5f);
    return t;
  }();
  static const Thresholds made = [] {
    Thresholds t{};
    for (int c = 0; c < kClasses; ++c) {
      const double mean = std::exp2((c + 0.5) / 2 - 10);
      double low = 1e-9, high = 1 - 1e-9;
      for (int i = 0; i < 60; ++i) {
        const double q = (low + high) / 2;
        (std::pow(q, 0.65) / (1 - q) < mean ? low : high) = q;
      }
      const double one = std::pow(low, 0.65);
      const double bits = std::log2((1 - one) / one) + 1 - std::log2(1 - low);
      t.zero[static_cast<std::size_t>(c)] = static_cast<float>(std::clamp(0.5 + kLambda / 2 * bits, 0.5, 1.3));
      t.round[static_cast<std::size_t>(c)] =
          static_cast<float>(std::clamp(0.5 + kLambda / 2 * std::log2(low), 0.2, 0.5));
    }
    return t;
  }();
  return dead_zone ? made : nearest;
}

constexpr std::size_t kRun = 16, kRuns = 8192,
                      kApart = 9;  // of the sample: items side by side, how many times about, one of how many at most

}  // namespace

int sixteenths(float step) {
  return static_cast<int>(std::floor(16 * std::log2(step) + 1e-3));
}

SampledError::SampledError(const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                           std::uint32_t views, const TransformSteps& steps)
    : basis_(&basis), dead_zone_(steps.dead_zone) {
  const std::size_t runs = items.size() / kRun,
                    apart = std::max(runs / kRuns, kApart) | 1;  // odd, so that every view has its turn
  for (std::size_t run = 0; run < runs; run += apart) {
    const auto own = items.subspan(run * kRun, kRun);
    sample_.insert(sample_.end(), own.begin(), own.end());
    const std::size_t row = run * kRun / views;
    scale_.push_back(basis.scale[row / slots.count * slots.count + slots.position[row % slots.count]]);
  }
  if (!sample_.empty()) share_ = static_cast<double>(sample_.size()) / static_cast<double>(items.size());
  const std::size_t room = sample_.size() + 64;
  magnitude_.resize(room);
  classes_.resize(room);
  seen_.resize(room);
  negative_.resize(room);
}

double SampledError::at(float step) {
  const int down = sixteenths(step);
  auto* classes = classes_.data();
  for (std::size_t run = 0; run < scale_.size(); ++run, classes += kRun)
    std::fill_n(classes, kRun, usual_class(*basis_, scale_[run], down));
  const double squares =
      blocks().quantise(sample_.data(), classes_.data(), sample_.size(), 1 / step, thresholds(dead_zone_),
                        basis_->offsets.data(), magnitude_.data(), seen_.data(), negative_.data());
  return squares * step * step / share_;
}

void quantise(const FeatureBasis& basis, const Slots& slots, std::span<const float> items, std::uint32_t views,
              float step, const TransformSteps& steps, Contexts& contexts, Quantised& out) {
  const std::size_t channel_items = std::size_t{slots.count} * views, even = std::size_t{slots.even} * views;
  out.magnitude.resize(items.size() + 64);
  out.negative.resize(items.size() + 64);
  out.classes.resize(items.size() + 64);
  static thread_local std::vector<std::uint8_t> seen;
  contexts.begin(basis, slots, views, sixteenths(step));
  seen.assign(contexts.seen_bytes(), 0);
  const std::vector<std::uint8_t> none(steps.contexts ? 0 : contexts.seen_bytes());
  const QuantiseFunction quantise_items = blocks().quantise;
  double error = 0;
  for (std::uint32_t channel = 0; channel < basis.channels; ++channel) {
    const std::size_t base = channel * channel_items;
    const auto phase = [&](std::uint32_t first, std::uint32_t last, std::size_t begin, std::size_t end) {
      contexts.classify(channel, first, last, steps.contexts ? seen.data() : none.data(), out.classes.data() + base);
      error += quantise_items(items.data() + base + begin, out.classes.data() + base + begin, end - begin, 1 / step,
                              thresholds(steps.dead_zone), basis.offsets.data(), out.magnitude.data() + base + begin,
                              seen.data() + begin, out.negative.data() + base + begin);
    };
    phase(0, slots.even, 0, even);
    phase(slots.even, slots.count, even, channel_items);
    if (steps.contexts) contexts.learn(seen.data());
  }
  out.error = error * step * step;
}

void Tallies::add(std::span<const float> items, const Quantised& group, float step) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (group.magnitude[i] == 0) continue;
    Mean& mean = rest_[group.magnitude[i] == 1 ? 0 : 1][group.classes[i]];
    mean.count += 1;
    mean.sum += std::fabs(static_cast<double>(items[i])) / step - group.magnitude[i];
  }
}

void Tallies::add_plane(int c, int plane, std::uint64_t ones, std::uint64_t bits) {
  ones_[static_cast<std::size_t>(c)][static_cast<std::size_t>(plane)] += ones;
  bits_[static_cast<std::size_t>(c)][static_cast<std::size_t>(plane)] += bits;
}

void Tallies::settle(FeatureBasis& basis) const {
  basis.levels.assign(kClasses * kPlanes, kLevels / 2);
  basis.offsets.assign(2 * kClasses, 0);
  for (std::size_t c = 0; c < kClasses; ++c) {
    for (std::size_t more = 0; more < 2; ++more) {
      const Mean& mean = rest_[more][c];
      if (mean.count > 0)
        basis.offsets[more * kClasses + c] =
            static_cast<std::int8_t>(std::clamp(std::lround(256 * mean.sum / mean.count), -127l, 127l));
    }
    for (std::size_t t = 0; t < kPlanes; ++t)
      if (bits_[c][t] > 0)
        basis.levels[c * kPlanes + t] = static_cast<std::uint8_t>(best_level(ones_[c][t], bits_[c][t]));
  }
}

}  // namespace vitrine::transform
