#include "common/codec/transform/quantise.h"

#include <algorithm>
#include <cmath>

#include "common/codec/transform/clones.h"

namespace vitrine::transform {
namespace {

constexpr double kLambda = 0.13;  // squared steps that a bit is worth

struct Thresholds {
  std::array<float, kClasses> zero, round;
};

// For a Laplace distribution with mean |k| as the class predicts: P(|k| ≥ 1) = q^0.65, P(|k| > n | |k| ≥ n) = q.
const Thresholds& thresholds() {
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
      t.round[static_cast<std::size_t>(c)] = static_cast<float>(std::clamp(0.5 + kLambda / 2 * std::log2(low), 0.2, 0.5));
    }
    return t;
  }();
  return made;
}

VITRINE_CLONES void quantise_items(const float* items, const std::uint8_t* classes, float inverse, const float* zero,
                                   const float* round, std::uint16_t* magnitude, std::uint8_t* seen, std::uint8_t* negative,
                                   std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const float x = std::fabs(items[i]) * inverse;
    const auto up = static_cast<std::int32_t>(std::min(x + round[classes[i]], 65535.0f));
    const std::int32_t k = x < zero[classes[i]] ? 0 : up < 1 ? 1 : up;
    magnitude[i] = static_cast<std::uint16_t>(k);
    seen[i] = static_cast<std::uint8_t>(k < kSeen ? k : kSeen);
    negative[i] = items[i] < 0 ? 1 : 0;
  }
}

struct Tally {
  double count = 0, sum = 0, squares = 0;  // of |y|/Δ − |k|
};

}  // namespace

int sixteenths(float step) { return static_cast<int>(std::floor(16 * std::log2(step) + 1e-3)); }

void quantise(const FeatureBasis& basis, const Slots& slots, std::span<const float> items, std::uint32_t views, float step,
              Contexts& contexts, Quantised& out) {
  const std::size_t channel_items = std::size_t{slots.count} * views, even = std::size_t{slots.even} * views;
  out.magnitude.resize(items.size());
  out.negative.resize(items.size());
  out.classes.resize(items.size());
  static thread_local std::vector<std::uint8_t> seen;
  seen.resize(channel_items);
  const Thresholds& t = thresholds();
  const float inverse = 1 / step;
  contexts.begin(basis, slots, views, sixteenths(step));
  std::array<Tally, kClasses> one{}, more{};
  double zeros = 0;
  for (std::uint32_t channel = 0; channel < basis.channels; ++channel) {
    const std::size_t base = channel * channel_items;
    const auto phase = [&](std::uint32_t first, std::uint32_t last, std::size_t begin, std::size_t end) {
      contexts.classify(channel, first, last, seen.data(), out.classes.data() + base);
      quantise_items(items.data() + base + begin, out.classes.data() + base + begin, inverse, t.zero.data(), t.round.data(),
                     out.magnitude.data() + base + begin, seen.data() + begin, out.negative.data() + base + begin, end - begin);
    };
    phase(0, slots.even, 0, even);
    phase(slots.even, slots.count, even, channel_items);
    contexts.learn(channel, seen.data());
    for (std::size_t i = base; i < base + channel_items; ++i) {
      const double x = std::fabs(items[i]) * inverse;
      if (out.magnitude[i] == 0) {
        zeros += x * x;
        continue;
      }
      Tally& tally = (out.magnitude[i] == 1 ? one : more)[out.classes[i]];
      const double rest = x - out.magnitude[i];
      tally.count += 1;
      tally.sum += rest;
      tally.squares += rest * rest;
    }
  }
  double error = zeros;
  for (std::size_t c = 0; c < kClasses; ++c) {
    const auto settle = [&error](const Tally& tally, std::int8_t& offset) {
      if (tally.count == 0) return;
      offset = static_cast<std::int8_t>(std::clamp(std::lround(256 * tally.sum / tally.count), -127l, 127l));
      const double shift = offset / 256.0;
      error += tally.squares - 2 * shift * tally.sum + shift * shift * tally.count;
    };
    settle(one[c], out.offsets.one[c]);
    settle(more[c], out.offsets.more[c]);
  }
  out.error = error * step * step;
}

}  // namespace vitrine::transform
