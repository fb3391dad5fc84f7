#include "common/codec/transform/entropy.h"

#include <algorithm>
#include <cmath>

namespace vitrine::transform {
namespace {

// Probability of a one in 1/65536, by level: round(65536 / (1 + 2^((30 − level) / 3))). Tabulated, so that the format
// does not depend on floating-point rounding.
constexpr std::array<std::uint16_t, kLevels> kOnes{
    64,    81,    101,   128,   161,   203,   255,   321,   404,   508,   639,   803,   1008,  1265,  1586,  1986,
    2483,  3097,  3855,  4784,  5915,  7282,  8917,  10851, 13107, 15698, 18619, 21845, 25329, 28999, 32768, 36537,
    40207, 43691, 46917, 49838, 52429, 54685, 56619, 58254, 59621, 60752, 61681, 62439, 63053, 63550, 63950, 64271,
    64528, 64733, 64897, 65028, 65132, 65215, 65281, 65333, 65375, 65408, 65435, 65455, 65472};

NibbleModel make_model(int level) {
  NibbleModel model{};
  const std::uint64_t one = kOnes[static_cast<std::size_t>(level)], zero = 65536 - one;
  std::uint32_t sum = 0;
  for (std::uint32_t nibble = 0; nibble < 16; ++nibble) {
    std::uint64_t share = 1;  // in 1/2^64
    for (int bit = 0; bit < 4; ++bit) share *= (nibble >> bit & 1) != 0 ? one : zero;
    const auto frequency = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, share >> (64 - kScaleBits)));
    model.frequency[nibble] = frequency;
    sum += frequency;
  }
  // The likeliest nibble absorbs the rounding error.
  model.frequency[one < zero ? 0 : 15] += (1u << kScaleBits) - sum;
  std::uint32_t start = 0;
  for (std::uint32_t nibble = 0; nibble < 16; ++nibble) {
    const std::uint32_t frequency = model.frequency[nibble];
    // In [1 / f, (1 + 2^-52) / f]: the error of x / f is below 2^-20, and quotients are 1 / f apart.
    model.reciprocal[nibble] = std::nextafter(1.0 / frequency, 2.0);
    model.start[nibble] = start;
    for (std::uint32_t slot = 0; slot < frequency; ++slot)
      model.slots[start + slot] = nibble | slot << 4 | frequency << 16;
    start += frequency;
  }
  return model;
}

}  // namespace

const NibbleModel& nibble_model(int level) {
  static const std::vector<NibbleModel> models = [] {
    std::vector<NibbleModel> made;
    for (int l = 0; l < kLevels; ++l) made.push_back(make_model(l));
    return made;
  }();
  return models[static_cast<std::size_t>(level)];
}

double probability(int level) {
  return 1 / (1 + std::exp2((kLevels / 2 - level) / 3.0));
}

int best_level(std::uint64_t ones, std::uint64_t bits) {
  // Nearest in log odds, with half a count added to both sides.
  const double odds = (static_cast<double>(ones) + 0.5) / (static_cast<double>(bits - ones) + 0.5);
  return std::clamp(static_cast<int>(std::lround(30 + 3 * std::log2(odds))), 0, kLevels - 1);
}

}  // namespace vitrine::transform
