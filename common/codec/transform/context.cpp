#include "common/codec/transform/context.h"

#include <algorithm>
#include <bit>

#include "common/codec/transform/clones.h"

namespace vitrine::transform {
namespace {

constexpr std::uint32_t kOne = 256;       // what a magnitude of 1 counts in past_
constexpr std::uint32_t kConfidence = 64; // c: how much evidence it takes to leave the expectation
constexpr std::uint32_t kNear = 1;        // weight of a neighbour in the own channel
constexpr std::uint32_t kMostExpected = 10 * 1024;

// 8 log2 n, the last three bits linear between powers of two; n ≥ 1.
constexpr int log8(std::uint32_t n) {
  return static_cast<int>(std::bit_cast<std::uint32_t>(static_cast<float>(n)) >> 20) - 127 * 8;
}

VITRINE_CLONES void clear(std::uint16_t* sum, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) sum[i] = 0;
}
VITRINE_CLONES void add(const std::uint8_t* row, std::uint16_t* sum, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) sum[i] = static_cast<std::uint16_t>(sum[i] + row[i]);
}
VITRINE_CLONES void decay_and_add(const std::uint8_t* own, const std::uint16_t* around, std::uint16_t* past, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    past[i] = static_cast<std::uint16_t>(past[i] - (past[i] >> 3) + 64 * (4 * own[i] + around[i]));
}
VITRINE_CLONES void classes_of(const std::uint16_t* past, const std::uint16_t* around, int bias, std::uint8_t* classes,
                               std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const std::int32_t sum = past[i] + static_cast<std::int32_t>(kNear * kOne) * around[i] + static_cast<std::int32_t>(kConfidence);
    const auto bits = std::bit_cast<std::int32_t>(static_cast<float>(sum));
    const std::int32_t c = ((bits >> 20) + bias) >> 2;
    classes[i] = static_cast<std::uint8_t>(c < 0 ? 0 : c > kClasses - 1 ? kClasses - 1 : c);
  }
}

}  // namespace

Slots::Slots(std::uint32_t height, std::uint32_t width) : count(height * width), even(0) {
  std::vector<std::uint32_t> slot(count);
  for (std::uint32_t parity = 0; parity < 2; ++parity)
    for (std::uint32_t p = 0; p < count; ++p)
      if ((p / width + p % width) % 2 == parity) {
        slot[p] = static_cast<std::uint32_t>(position.size());
        position.push_back(p);
        even += parity == 0 ? 1 : 0;
      }
  neighbours.resize(count);
  for (std::uint32_t s = 0; s < count; ++s) {
    const std::uint32_t p = position[s], row = p / width, column = p % width;
    if (row > 0) neighbours[s].push_back(slot[p - width]);
    if (row + 1 < height) neighbours[s].push_back(slot[p + width]);
    if (column > 0) neighbours[s].push_back(slot[p - 1]);
    if (column + 1 < width) neighbours[s].push_back(slot[p + 1]);
  }
}

void Contexts::begin(const FeatureBasis& basis, const Slots& slots, std::uint32_t views, int step_sixteenths) {
  basis_ = &basis;
  slots_ = &slots;
  views_ = views;
  step_sixteenths_ = step_sixteenths;
  past_.assign(std::size_t{slots.count} * views, 0);
  past_expected_.assign(slots.count, 0);
  around_.resize(views);
}

std::uint32_t Contexts::expectation(std::uint32_t channel, std::uint32_t slot) const {
  const int level = 256 + basis_->scale[std::size_t{channel} * slots_->count + slots_->position[slot]] - step_sixteenths_;
  return basis_->expected[static_cast<std::size_t>(std::clamp(level, 0, static_cast<int>(FeatureBasis::kLevels) - 1))];
}

void Contexts::classify(std::uint32_t channel, std::uint32_t first, std::uint32_t last, const std::uint8_t* seen,
                        std::uint8_t* classes) {
  for (std::uint32_t s = first; s < last; ++s) {
    clear(around_.data(), views_);
    std::uint32_t expected = past_expected_[s] + 16 * kConfidence;
    if (s >= slots_->even)
      for (const std::uint32_t other : slots_->neighbours[s]) {
        add(seen + std::size_t{other} * views_, around_.data(), views_);
        expected += 16 * kNear * kOne * std::min(expectation(channel, other), kMostExpected) / 1024;
      }
    // log8 of the prediction in 1/1024; the exponent's offset of classes_of goes off here as well.
    const int bias = log8(expectation(channel, s)) - (log8(expected) - 32) - 127 * 8;
    classes_of(past_.data() + std::size_t{s} * views_, around_.data(), bias, classes + std::size_t{s} * views_, views_);
  }
}

void Contexts::learn(std::uint32_t channel, const std::uint8_t* seen) {
  for (std::uint32_t s = 0; s < slots_->count; ++s) {
    clear(around_.data(), views_);
    std::uint32_t expected = 4 * std::min(expectation(channel, s), kMostExpected);
    for (const std::uint32_t other : slots_->neighbours[s]) {
      add(seen + std::size_t{other} * views_, around_.data(), views_);
      expected += std::min(expectation(channel, other), kMostExpected);
    }
    past_expected_[s] += expected - (past_expected_[s] >> 3);
    decay_and_add(seen + std::size_t{s} * views_, around_.data(), past_.data() + std::size_t{s} * views_, views_);
  }
}

}  // namespace vitrine::transform
