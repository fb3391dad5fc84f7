#include "common/image/overlay.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <stdexcept>
#include <vector>

#include "common/image/write.h"

namespace vitrine {
namespace {

constexpr int kShades = 256;
using Palette = std::array<std::array<std::uint8_t, 3>, kShades>;

std::uint8_t srgb_byte(double linear) {
  const double light = std::clamp(linear, 0.0, 1.0);
  const double encoded = light <= 0.0031308 ? 12.92 * light : 1.055 * std::pow(light, 1 / 2.4) - 0.055;
  return static_cast<std::uint8_t>(std::lround(255 * encoded));
}

// OKLCh to sRGB, with Ottosson's matrices (https://bottosson.github.io/posts/oklab/).
std::array<std::uint8_t, 3> colour_of(double lightness, double chroma, double hue) {
  const double a = chroma * std::cos(hue), b = chroma * std::sin(hue);
  const double l = std::pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
  const double m = std::pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
  const double s = std::pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
  return {srgb_byte(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
          srgb_byte(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
          srgb_byte(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

// Hue from violet (290°) through red to yellow (100° + 360°). The chroma vanishes towards both ends, where sRGB has
// little room; its constants keep every colour inside sRGB.
Palette make_palette() {
  Palette out{};
  for (int i = 0; i < kShades; ++i) {
    const double value = i / (kShades - 1.0);
    const double hue = (290 + 170 * value) * std::numbers::pi / 180;
    const double chroma = 0.06 + 0.125 * std::sin(std::numbers::pi * std::pow(value, 0.9));
    out[static_cast<std::size_t>(i)] = colour_of(0.22 + 0.72 * value, chroma, hue);
  }
  return out;
}

float within_unit(float value) {
  return value > 0 ? std::min(value, 1.0f) : 0;  // NaN is not above 0
}

/// Neighbours of a target pixel along one axis, and the weight of the second.
struct Between {
  int first, second;
  float share;
};

std::vector<Between> positions(int from, int to) {
  std::vector<Between> out;
  for (int i = 0; i < to; ++i) {
    const double at = std::clamp((i + 0.5) * from / to - 0.5, 0.0, from - 1.0);
    const int first = static_cast<int>(at);
    out.push_back({first, std::min(first + 1, from - 1), static_cast<float>(at - first)});
  }
  return out;
}

std::string base64(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t there = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j)
      bits = bits << 8 | (j < there ? std::to_integer<std::uint32_t>(bytes[i + j]) : 0);
    for (std::size_t digit = 0; digit < 4; ++digit)
      out += digit <= there ? kDigits[bits >> (18 - 6 * digit) & 63] : '=';
  }
  return out;
}

}  // namespace

std::array<std::uint8_t, 3> heat_colour(float value) {
  static const Palette kPalette = make_palette();
  return kPalette[static_cast<std::size_t>(std::lround(within_unit(value) * (kShades - 1)))];
}

Image overlay(const Image& picture, std::span<const float> map, int rows, int cols) {
  if (picture.height < 1 || picture.width < 1 || rows < 1 || cols < 1 ||
      map.size() != static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols))
    throw std::logic_error("overlay: an empty picture, or a map of another size than rows and cols");
  constexpr float kLeast = 0.25f, kMost = 0.70f;  // share of the heat map in a pixel
  const std::vector<Between> down = positions(rows, picture.height), across = positions(cols, picture.width);
  const auto value = [&](int row, int column) {
    return within_unit(
        map[static_cast<std::size_t>(row) * static_cast<std::size_t>(cols) + static_cast<std::size_t>(column)]);
  };
  Image out(picture.height, picture.width);
  for (int y = 0; y < picture.height; ++y) {
    const Between& v = down[static_cast<std::size_t>(y)];
    for (int x = 0; x < picture.width; ++x) {
      const Between& h = across[static_cast<std::size_t>(x)];
      const float above = std::lerp(value(v.first, h.first), value(v.first, h.second), h.share);
      const float below = std::lerp(value(v.second, h.first), value(v.second, h.second), h.share);
      const float heat = std::lerp(above, below, v.share);
      const std::array<std::uint8_t, 3> colour = heat_colour(heat);
      const float share = std::lerp(kLeast, kMost, heat);
      for (int c = 0; c < 3; ++c) {
        const auto from = static_cast<float>(picture.row(y)[3 * x + c]);
        const auto to = static_cast<float>(colour[static_cast<std::size_t>(c)]);
        out.row(y)[3 * x + c] = static_cast<std::uint8_t>(std::lround(std::lerp(from, to, share)));
      }
    }
  }
  return out;
}

std::string data_uri(const Image& image, int quality) {
  return "data:image/jpeg;base64," + base64(encode_jpeg(image, quality));
}

}  // namespace vitrine
