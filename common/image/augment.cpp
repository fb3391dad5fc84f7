#include "common/image/augment.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "common/base/philox.h"

namespace vitrine {
namespace {

using Picture = std::span<std::uint8_t>;

// torchvision's _blend: truncated, not rounded.
std::uint8_t blend(float own, float other, float factor) {
  return static_cast<std::uint8_t>(std::clamp(factor * own + (1.0f - factor) * other, 0.0f, 255.0f));
}

std::uint8_t grey(const std::uint8_t* pixel) {
  return static_cast<std::uint8_t>(0.2989f * pixel[0] + 0.587f * pixel[1] + 0.114f * pixel[2]);
}

// Adjusts the hue in HSV: torchvision's _rgb2hsv and _hsv2rgb, with components in [0, 1].
void turn_hue(std::uint8_t* pixel, float turn) {
  const float r = pixel[0] / 255.0f, g = pixel[1] / 255.0f, b = pixel[2] / 255.0f;
  const float high = std::max({r, g, b}), low = std::min({r, g, b}), range = high - low;
  if (range == 0) return;
  float hue = high == r ? (g - b) / range : high == g ? 2 + (b - r) / range : 4 + (r - g) / range;
  hue = hue / 6 + 1 + turn;
  hue -= std::floor(hue);
  const float saturated = range / high, sector = std::floor(hue * 6), part = hue * 6 - sector;
  const float p = std::clamp(high * (1 - saturated), 0.0f, 1.0f);
  const float q = std::clamp(high * (1 - saturated * part), 0.0f, 1.0f);
  const float t = std::clamp(high * (1 - saturated * (1 - part)), 0.0f, 1.0f);
  const float table[6][3] = {{high, t, p}, {q, high, p}, {p, high, t}, {p, q, high}, {t, p, high}, {high, p, q}};
  const float* colour = table[static_cast<int>(sector) % 6];
  for (int c = 0; c < 3; ++c) pixel[c] = static_cast<std::uint8_t>(colour[c] * 255.999f);
}

void jitter(Picture picture, const AugmentOptions& options, RandomStream stream) {
  std::array<int, 4> order{0, 1, 2, 3};
  for (std::size_t n = 4; n > 1; --n) std::swap(order[n - 1], order[stream.below(n)]);
  const auto factor = [&](double strength) {
    return static_cast<float>(stream.uniform(std::max(0.0, 1 - strength), 1 + strength));
  };
  const float bright = factor(options.brightness), contrasted = factor(options.contrast),
              saturated = factor(options.saturation);
  const auto turn = static_cast<float>(stream.uniform(-options.hue, options.hue));
  for (const int step : order) {
    if (step == 0 && options.brightness > 0) adjust_brightness(picture, bright);
    if (step == 1 && options.contrast > 0) adjust_contrast(picture, contrasted);
    if (step == 2 && options.saturation > 0) adjust_saturation(picture, saturated);
    if (step == 3 && options.hue > 0) adjust_hue(picture, turn);
  }
}

void erase(Picture picture, int size, const AugmentOptions& options, RandomStream stream) {
  if (stream.uniform() >= options.erase_probability) return;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area =
        static_cast<double>(size) * size * stream.uniform(options.erase_min_area, options.erase_max_area);
    const double ratio = std::exp(stream.uniform(std::log(options.erase_min_ratio), std::log(options.erase_max_ratio)));
    const auto height = static_cast<int>(std::nearbyint(std::sqrt(area * ratio)));
    const auto width = static_cast<int>(std::nearbyint(std::sqrt(area / ratio)));
    if (height >= size || width >= size) continue;
    const auto top = static_cast<int>(stream.below(static_cast<std::uint64_t>(size - height + 1)));
    const auto left = static_cast<int>(stream.below(static_cast<std::uint64_t>(size - width + 1)));
    for (int y = top; y < top + height; ++y)
      for (int x = left; x < left + width; ++x)
        std::copy(options.fill.begin(), options.fill.end(), &picture[static_cast<std::size_t>(y * size + x) * 3]);
    return;
  }
}

}  // namespace

void adjust_brightness(Picture picture, float factor) {
  for (auto& value : picture) value = blend(value, 0, factor);
}

void adjust_contrast(Picture picture, float factor) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < picture.size(); i += 3) sum += grey(&picture[i]);
  const auto mean = static_cast<float>(static_cast<double>(sum) / (static_cast<double>(picture.size()) / 3));
  for (auto& value : picture) value = blend(value, mean, factor);
}

void adjust_saturation(Picture picture, float factor) {
  for (std::size_t i = 0; i < picture.size(); i += 3) {
    const std::uint8_t middle = grey(&picture[i]);
    for (std::size_t c = 0; c < 3; ++c) picture[i + c] = blend(picture[i + c], middle, factor);
  }
}

void adjust_hue(Picture picture, float turn) {
  for (std::size_t i = 0; i < picture.size(); i += 3) turn_hue(&picture[i], turn);
}

void AugmentOptions::fields(Fields& f) {
  f.number("brightness", brightness, "colour jitter: brightness factor, uniform in 1 - b to 1 + b", {0, 1});
  f.number("contrast", contrast, "colour jitter: contrast factor, likewise", {0, 1});
  f.number("saturation", saturation, "colour jitter: saturation factor, likewise", {0, 1});
  f.number("hue", hue, "colour jitter: hue shift, uniform in -h to h of the colour circle", {0, 0.5});
  f.number("erase_probability", erase_probability, "probability of erasing a rectangle of a view", {0, 1});
  f.number("erase_min_area", erase_min_area, "smallest erased share of a view's area", {0, 1});
  f.number("erase_max_area", erase_max_area, "largest erased share of a view's area", {0, 1});
  f.number("erase_min_ratio", erase_min_ratio, "smallest height / width of the erased rectangle", {0.01, 100});
  f.number("erase_max_ratio", erase_max_ratio, "largest height / width of the erased rectangle", {0.01, 100});
}

void augment(std::span<std::uint8_t> picture, int size, const AugmentOptions& options, std::uint64_t seed,
             std::uint32_t epoch, std::uint32_t pass, std::uint64_t position) {
  const std::uint64_t place = static_cast<std::uint64_t>(pass) << 40 ^ position;
  jitter(picture, options, RandomStream(seed, Purpose::kJitter, epoch, place));
  erase(picture, size, options, RandomStream(seed, Purpose::kErase, epoch, place));
}

}  // namespace vitrine
