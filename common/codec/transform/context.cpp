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

// One position of all views: past += 64 (4 own + a + b + c + d) − past / 8.
VITRINE_CLONES void learn_row(const std::uint8_t* own, const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c,
                              const std::uint8_t* d, std::uint16_t* past, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    past[i] = static_cast<std::uint16_t>(past[i] - (past[i] >> 3) + 64 * (4 * own[i] + a[i] + b[i] + c[i] + d[i]));
}
std::uint8_t class_of_sum(std::int32_t sum, int bias) {
  const std::int32_t c = ((std::bit_cast<std::int32_t>(static_cast<float>(sum)) >> 20) + bias) >> 2;
  return static_cast<std::uint8_t>(c < 0 ? 0 : c > kClasses - 1 ? kClasses - 1 : c);
}
VITRINE_CLONES void classify_alone(const std::uint16_t* past, int bias, std::uint8_t* classes, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) classes[i] = class_of_sum(past[i] + static_cast<std::int32_t>(kConfidence), bias);
}
VITRINE_CLONES void classify_near(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c, const std::uint8_t* d,
                                  const std::uint16_t* past, int bias, std::uint8_t* classes, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    classes[i] = class_of_sum(past[i] + static_cast<std::int32_t>(kConfidence) +
                                  static_cast<std::int32_t>(kNear * kOne) * (a[i] + b[i] + c[i] + d[i]),
                              bias);
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
  for (std::uint32_t s = 0; s < count; ++s) {
    const std::uint32_t p = position[s], row = p / width, column = p % width;
    neighbours.push_back({row > 0 ? slot[p - width] : count, row + 1 < height ? slot[p + width] : count,
                          column > 0 ? slot[p - 1] : count, column + 1 < width ? slot[p + 1] : count});
  }
}

void Contexts::begin(const FeatureBasis& basis, const Slots& slots, std::uint32_t views, int step_sixteenths) {
  basis_ = &basis;
  slots_ = &slots;
  views_ = views;
  step_sixteenths_ = step_sixteenths;
  past_.assign(std::size_t{slots.count} * views, 0);
  past_expected_.assign(slots.count, 0);
  expected_.assign(slots.count + 1, 0);
}

void Contexts::expect(std::uint32_t channel) {
  for (std::uint32_t s = 0; s < slots_->count; ++s) {
    const int level = 256 + basis_->scale[std::size_t{channel} * slots_->count + slots_->position[s]] - step_sixteenths_;
    expected_[s] = basis_->expected[static_cast<std::size_t>(std::clamp(level, 0, static_cast<int>(FeatureBasis::kLevels) - 1))];
  }
}

void Contexts::classify(std::uint32_t channel, std::uint32_t first, std::uint32_t last, const std::uint8_t* seen,
                        std::uint8_t* classes) {
  if (first == 0) expect(channel);
  for (std::uint32_t s = first; s < last; ++s) {
    std::uint32_t evidence = past_expected_[s] + 16 * kConfidence;
    const auto& near = slots_->neighbours[s];
    if (s >= slots_->even)
      for (const std::uint32_t other : near) evidence += 16 * kNear * kOne * std::min(expected_[other], kMostExpected) / 1024;
    // log8 of the prediction in 1/1024; the exponent's offset of a float goes off here as well.
    const int bias = log8(expected_[s]) - (log8(evidence) - 32) - 127 * 8;
    const std::uint16_t* past = past_.data() + std::size_t{s} * views_;
    std::uint8_t* out = classes + std::size_t{s} * views_;
    const auto row = [&](std::size_t i) { return seen + std::size_t{near[i]} * views_; };
    if (s < slots_->even)
      classify_alone(past, bias, out, views_);
    else
      classify_near(row(0), row(1), row(2), row(3), past, bias, out, views_);
  }
}

void Contexts::learn(const std::uint8_t* seen) {
  for (std::uint32_t s = 0; s < slots_->count; ++s) {
    const auto& near = slots_->neighbours[s];
    std::uint32_t expected = 4 * std::min(expected_[s], kMostExpected);
    for (const std::uint32_t other : near) expected += std::min(expected_[other], kMostExpected);
    past_expected_[s] += expected - (past_expected_[s] >> 3);
    const auto row = [&](std::size_t slot) { return seen + slot * views_; };
    learn_row(row(s), row(near[0]), row(near[1]), row(near[2]), row(near[3]), past_.data() + std::size_t{s} * views_, views_);
  }
}

}  // namespace vitrine::transform
