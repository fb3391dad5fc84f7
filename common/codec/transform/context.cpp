#include "common/codec/transform/context.h"

#include <algorithm>
#include <bit>

#include "common/codec/transform/clones.h"

namespace vitrine::transform {
namespace {

constexpr std::uint32_t kOne = 256;  // what a step counts in past_; half steps are seen
constexpr std::uint32_t kNear = 1;   // weight of a neighbour in the own channel
constexpr std::uint32_t kMostExpected = 10 * 1024;
constexpr int kLastLevel = static_cast<int>(FeatureBasis::kLevels) - 1;
static_assert(16 * kNear * kOne % 1024 == 0);  // what a neighbour's expectation, in 1/1024, counts as evidence

constexpr std::int32_t kExponentOffset = 127 * 8;  // of a float, as log8 takes it off

// 8 log2 n, the last three bits linear between powers of two; n ≥ 1.
constexpr int log8(std::uint32_t n) {
  return static_cast<int>(std::bit_cast<std::uint32_t>(static_cast<float>(n)) >> 20) - kExponentOffset;
}

// The scale of the basis's first expectation.
constexpr int first_scale(int step_sixteenths) {
  return step_sixteenths - static_cast<int>(FeatureBasis::kLevels / 2);
}

std::uint8_t class_of_sum(std::int32_t sum, int bias) {
  const std::int32_t c = ((std::bit_cast<std::int32_t>(static_cast<float>(sum)) >> 20) + bias) >> 2;
  return static_cast<std::uint8_t>(c < 0 ? 0 : c > kClasses - 1 ? kClasses - 1 : c);
}

// Of four neighbours together: a byte holds it, as what is seen is at most 2 kSeen.
static_assert(8 * 2 * kSeen < 256);
inline std::uint8_t sum_of(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return static_cast<std::uint8_t>(a + b + c + d);
}

// Rows of all views, a slot each; loops over slots lie within, as a call for each would cost as much as its row.

// Slots [first, last), nothing known of the channel: classes by what is past.
VITRINE_CLONES void classify_alone(std::size_t first, std::size_t last, std::size_t views, const std::uint16_t* past,
                                   const std::int32_t* bias, std::int32_t confidence, std::uint8_t* classes) {
  for (std::size_t s = first; s < last; ++s) {
    const std::uint16_t* own = past + s * views;
    std::uint8_t* __restrict out = classes + s * views;
    const std::int32_t offset = bias[s];
    for (std::size_t i = 0; i < views; ++i) out[i] = class_of_sum(own[i] + confidence, offset);
  }
}
// The same with the neighbours' magnitudes.
VITRINE_CLONES void classify_near(std::size_t first, std::size_t last, std::size_t views,
                                  const std::array<std::uint32_t, 4>* near, const std::uint8_t* seen,
                                  const std::uint16_t* past, const std::int32_t* bias, std::int32_t confidence,
                                  std::uint8_t* classes) {
  for (std::size_t s = first; s < last; ++s) {
    const std::uint8_t *a = seen + near[s][0] * views, *b = seen + near[s][1] * views, *c = seen + near[s][2] * views,
                       *d = seen + near[s][3] * views;
    const std::uint16_t* own = past + s * views;
    std::uint8_t* __restrict out = classes + s * views;
    const std::int32_t offset = bias[s];
    for (std::size_t i = 0; i < views; ++i)
      out[i] = class_of_sum(
          own[i] + confidence + static_cast<std::int32_t>(kNear * kOne / 2) * sum_of(a[i], b[i], c[i], d[i]), offset);
  }
}
// past += 32 (4 own + a + b + c + d) − past / 8.
VITRINE_CLONES void learn_rows(std::size_t slots, std::size_t views, const std::array<std::uint32_t, 4>* near,
                               const std::uint8_t* seen, std::uint16_t* past) {
  for (std::size_t s = 0; s < slots; ++s) {
    const std::uint8_t *own = seen + s * views, *a = seen + near[s][0] * views, *b = seen + near[s][1] * views,
                       *c = seen + near[s][2] * views, *d = seen + near[s][3] * views;
    std::uint16_t* __restrict row = past + s * views;
    for (std::size_t i = 0; i < views; ++i) {
      const auto all = static_cast<std::uint8_t>(4 * own[i] + sum_of(a[i], b[i], c[i], d[i]));
      row[i] = static_cast<std::uint16_t>(row[i] - (row[i] >> 3) + kOne / 8 * all);
    }
  }
}

// What is expected around each slot, and the classes' offsets, which hold those of the own expectations before; the
// evidence for slots from `even` on includes their neighbours' expectations.
VITRINE_CLONES void expect_around(std::size_t slots, std::size_t even, const std::array<std::uint32_t, 4>* near,
                                  const std::uint32_t* expected, const std::uint32_t* past, std::uint32_t confidence,
                                  std::uint32_t* __restrict around, std::int32_t* __restrict bias) {
  for (std::size_t s = 0; s < slots; ++s)
    around[s] = expected[near[s][0]] + expected[near[s][1]] + expected[near[s][2]] + expected[near[s][3]];
  for (std::size_t s = 0; s < even; ++s) bias[s] -= log8(past[s] + 16 * confidence);
  for (std::size_t s = even; s < slots; ++s)
    bias[s] -= log8(past[s] + 16 * confidence + 16 * kNear * kOne / 1024 * around[s]);
}
VITRINE_CLONES void learn_expected(std::size_t slots, const std::uint32_t* expected, const std::uint32_t* around,
                                   std::uint32_t* __restrict past) {
  for (std::size_t s = 0; s < slots; ++s) past[s] += 4 * expected[s] + around[s] - (past[s] >> 3);
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
  const int level = std::clamp(scale - first_scale(step_sixteenths), 0, kLastLevel);
  return static_cast<std::uint8_t>(std::min(log8(basis.expected[static_cast<std::size_t>(level)]) >> 2, kClasses - 1));
}

void Contexts::begin(const FeatureBasis& basis, const Slots& slots, std::uint32_t views, int step_sixteenths) {
  basis_ = &basis;
  slots_ = &slots;
  views_ = views;
  past_.assign(std::size_t{slots.count} * views, 0);
  past_expected_.assign(slots.count, 0);
  expected_.assign(slots.count + 1, 0);
  around_.assign(slots.count, 0);
  bias_.assign(slots.count, 0);
  first_scale_ = first_scale(step_sixteenths);
  for (std::size_t i = 0; i < FeatureBasis::kLevels; ++i) {
    const std::uint32_t expected = basis.expected[i];
    levels_[i] = {std::min(expected, kMostExpected), log8(expected) - kExponentOffset + 32};
  }
}

void Contexts::expect(std::uint32_t channel) {
  const std::int16_t* scale = basis_->scale.data() + std::size_t{channel} * slots_->count;
  for (std::uint32_t s = 0; s < slots_->count; ++s) {
    const Level& level =
        levels_[static_cast<std::size_t>(std::clamp(scale[slots_->position[s]] - first_scale_, 0, kLastLevel))];
    expected_[s] = level.expected;
    bias_[s] = level.bias;
  }
  expect_around(slots_->count, slots_->even, slots_->neighbours.data(), expected_.data(), past_expected_.data(),
                basis_->confidence, around_.data(), bias_.data());
}

void Contexts::classify(std::uint32_t channel, std::uint32_t first, std::uint32_t last, const std::uint8_t* seen,
                        std::uint8_t* classes) {
  if (first == 0) expect(channel);
  if (first < slots_->even)
    classify_alone(first, last, views_, past_.data(), bias_.data(), basis_->confidence, classes);
  else
    classify_near(first, last, views_, slots_->neighbours.data(), seen, past_.data(), bias_.data(), basis_->confidence,
                  classes);
}

void Contexts::learn(const std::uint8_t* seen) {
  learn_expected(slots_->count, expected_.data(), around_.data(), past_expected_.data());
  learn_rows(slots_->count, views_, slots_->neighbours.data(), seen, past_.data());
}

}  // namespace vitrine::transform
