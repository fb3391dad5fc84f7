#include "common/codec/transform/context.h"

#include <algorithm>

#include "common/codec/transform/context_numbers.h"
#include "common/codec/transform/loops.h"

namespace vitrine::transform {
namespace {

constexpr int kLastLevel = static_cast<int>(FeatureBasis::kLevels) - 1;

// The scale of the basis's first entry of `expected`.
constexpr int first_scale(int step_sixteenths) {
  return step_sixteenths - static_cast<int>(FeatureBasis::kLevels / 2);
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
    levels_[i] = {std::min(expected, kMaxExpected), log8(expected) - kExponentOffset + 32};
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
  loops().expect_around(slots_->count, slots_->even, slots_->neighbours.data(), expected_.data(), past_expected_.data(),
                        basis_->confidence, around_.data(), bias_.data());
}

void Contexts::classify(std::uint32_t channel, std::uint32_t first, std::uint32_t last, const std::uint8_t* seen,
                        std::uint8_t* classes) {
  if (first == 0) expect(channel);
  if (first < slots_->even)
    loops().classify_alone(first, last, views_, past_.data(), bias_.data(), basis_->confidence, classes);
  else
    loops().classify_near(first, last, views_, slots_->neighbours.data(), seen, past_.data(), bias_.data(),
                          basis_->confidence, classes);
}

void Contexts::learn(const std::uint8_t* seen) {
  loops().learn_expected(slots_->count, expected_.data(), around_.data(), past_expected_.data());
  loops().learn_rows(slots_->count, views_, slots_->neighbours.data(), seen, past_.data());
}

}  // namespace vitrine::transform
