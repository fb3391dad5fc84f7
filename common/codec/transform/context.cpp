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

std::uint8_t class_of_sum(std::int32_t sum, int bias) {
  const std::int32_t c = ((std::bit_cast<std::int32_t>(static_cast<float>(sum)) >> 20) + bias) >> 2;
  return static_cast<std::uint8_t>(c < 0 ? 0 : c > kClasses - 1 ? kClasses - 1 : c);
}

// Rows of all views, a slot each; loops over slots lie within, as a call for each would cost as much as its row.

// Slots [first, last), nothing known of the channel: classes by what is past.
VITRINE_CLONES void classify_alone(std::size_t first, std::size_t last, std::size_t views, const std::uint16_t* past,
                                   const std::int32_t* bias, std::uint8_t* classes) {
  for (std::size_t s = first; s < last; ++s) {
    const std::uint16_t* own = past + s * views;
    std::uint8_t* __restrict out = classes + s * views;
    const std::int32_t offset = bias[s];
    for (std::size_t i = 0; i < views; ++i) out[i] = class_of_sum(own[i] + static_cast<std::int32_t>(kConfidence), offset);
  }
}
// The same with the neighbours' magnitudes.
VITRINE_CLONES void classify_near(std::size_t first, std::size_t last, std::size_t views, const std::array<std::uint32_t, 4>* near,
                                  const std::uint8_t* seen, const std::uint16_t* past, const std::int32_t* bias,
                                  std::uint8_t* classes) {
  for (std::size_t s = first; s < last; ++s) {
    const std::uint8_t *a = seen + near[s][0] * views, *b = seen + near[s][1] * views, *c = seen + near[s][2] * views,
                       *d = seen + near[s][3] * views;
    const std::uint16_t* own = past + s * views;
    std::uint8_t* __restrict out = classes + s * views;
    const std::int32_t offset = bias[s];
    for (std::size_t i = 0; i < views; ++i)
      out[i] = class_of_sum(own[i] + static_cast<std::int32_t>(kConfidence) +
                                static_cast<std::int32_t>(kNear * kOne) * (a[i] + b[i] + c[i] + d[i]),
                            offset);
  }
}
// past += 64 (4 own + a + b + c + d) − past / 8.
VITRINE_CLONES void learn_rows(std::size_t slots, std::size_t views, const std::array<std::uint32_t, 4>* near,
                               const std::uint8_t* seen, std::uint16_t* past) {
  for (std::size_t s = 0; s < slots; ++s) {
    const std::uint8_t *own = seen + s * views, *a = seen + near[s][0] * views, *b = seen + near[s][1] * views,
                       *c = seen + near[s][2] * views, *d = seen + near[s][3] * views;
    std::uint16_t* __restrict row = past + s * views;
    for (std::size_t i = 0; i < views; ++i)
      row[i] = static_cast<std::uint16_t>(row[i] - (row[i] >> 3) + 64 * (4 * own[i] + a[i] + b[i] + c[i] + d[i]));
  }
}

// The mean |k| of an item of this scale, in 1/1024.
std::uint32_t usual_magnitude(const FeatureBasis& basis, int scale, int step_sixteenths) {
  constexpr int kLast = static_cast<int>(FeatureBasis::kLevels) - 1;
  return basis.expected[static_cast<std::size_t>(std::clamp(256 + scale - step_sixteenths, 0, kLast))];
}

}  // namespace

Slots::Slots(std::uint32_t height, std::uint32_t width) : count(height * width), even(0), slot(count) {
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

std::uint8_t usual_class(const FeatureBasis& basis, int scale, int step_sixteenths) {
  return static_cast<std::uint8_t>(std::min(log8(usual_magnitude(basis, scale, step_sixteenths)) >> 2, kClasses - 1));
}

void Contexts::begin(const FeatureBasis& basis, const Slots& slots, std::uint32_t views, int step_sixteenths) {
  basis_ = &basis;
  slots_ = &slots;
  views_ = views;
  step_sixteenths_ = step_sixteenths;
  past_.assign(std::size_t{slots.count} * views, 0);
  past_expected_.assign(slots.count, 0);
  expected_.assign(slots.count + 1, 0);
  around_.assign(slots.count, 0);
  bias_.assign(slots.count, 0);
}

void Contexts::expect(std::uint32_t channel) {
  for (std::uint32_t s = 0; s < slots_->count; ++s) {
    const std::int16_t scale = basis_->scale[std::size_t{channel} * slots_->count + slots_->position[s]];
    const std::uint32_t expected = usual_magnitude(*basis_, scale, step_sixteenths_);
    expected_[s] = std::min(expected, kMostExpected);
    bias_[s] = log8(expected) - 127 * 8 + 32;  // the exponent's offset of a float goes off here as well
  }
  for (std::uint32_t s = 0; s < slots_->count; ++s) {
    const auto& near = slots_->neighbours[s];
    around_[s] = expected_[near[0]] + expected_[near[1]] + expected_[near[2]] + expected_[near[3]];
    std::uint32_t evidence = past_expected_[s] + 16 * kConfidence;
    if (s >= slots_->even)
      for (const std::uint32_t other : near) evidence += 16 * kNear * kOne * expected_[other] / 1024;
    bias_[s] -= log8(evidence);  // log8 of the prediction in 1/1024
  }
}

void Contexts::classify(std::uint32_t channel, std::uint32_t first, std::uint32_t last, const std::uint8_t* seen,
                        std::uint8_t* classes) {
  if (first == 0) expect(channel);
  if (first < slots_->even)
    classify_alone(first, last, views_, past_.data(), bias_.data(), classes);
  else
    classify_near(first, last, views_, slots_->neighbours.data(), seen, past_.data(), bias_.data(), classes);
}

void Contexts::learn(const std::uint8_t* seen) {
  for (std::uint32_t s = 0; s < slots_->count; ++s)
    past_expected_[s] += 4 * expected_[s] + around_[s] - (past_expected_[s] >> 3);
  learn_rows(slots_->count, views_, slots_->neighbours.data(), seen, past_.data());
}

}  // namespace vitrine::transform
