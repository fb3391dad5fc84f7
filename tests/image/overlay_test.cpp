#include "common/image/overlay.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "common/image/decode.h"
#include "tests/image/samples.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::gradient;

namespace {

/// OKLab's lightness of an sRGB colour.
double lightness(const std::array<std::uint8_t, 3>& colour) {
  const auto linear = [](int byte) {
    const double encoded = byte / 255.0;
    return encoded <= 0.04045 ? encoded / 12.92 : std::pow((encoded + 0.055) / 1.055, 2.4);
  };
  const double r = linear(colour[0]), g = linear(colour[1]), b = linear(colour[2]);
  return 0.2104542553 * std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) +
         0.7936177850 * std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) -
         0.0040720468 * std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
}

Image grey(int height, int width) {
  Image out(height, width);
  std::fill(out.rgb.begin(), out.rgb.end(), std::uint8_t{128});
  return out;
}

}  // namespace

TEST_CASE("the palette's lightness is linear in the value") {
  const double dark = lightness(heat_colour(0)), light = lightness(heat_colour(1));
  CHECK(light - dark > 0.65);
  for (int i = 0; i <= 20; ++i) {
    const double value = i / 20.0;
    CAPTURE(value);
    CHECK(lightness(heat_colour(static_cast<float>(value))) ==
          doctest::Approx(dark + value * (light - dark)).epsilon(0.02));
  }
  CHECK(heat_colour(-3) == heat_colour(0));
  CHECK(heat_colour(7) == heat_colour(1));
  CHECK(heat_colour(std::numeric_limits<float>::quiet_NaN()) == heat_colour(0));
}

TEST_CASE("an even map covers the picture evenly, a high one more than a low one") {
  const Image picture = gradient(9, 14);
  for (const float value : {0.0f, 1.0f}) {
    const std::vector<float> map(6, value);
    const Image out = overlay(picture, map, 2, 3);
    REQUIRE(out.height == 9);
    REQUIRE(out.width == 14);
    const double share = value > 0 ? 0.7 : 0.25;
    for (std::size_t i = 0; i < out.rgb.size(); ++i) {
      const double mixed = (1 - share) * picture.rgb[i] + share * heat_colour(value)[i % 3];
      REQUIRE(std::abs(out.rgb[i] - mixed) <= 0.51);
    }
  }
}

TEST_CASE("a map is resized bilinearly, with pixel centres at halves") {
  // Four columns over a map of two: its values are met at -1/4 (held at 0), 1/4, 3/4 and 5/4 (held at 1).
  const std::vector<float> map{0, 1};
  const Image out = overlay(grey(1, 4), map, 1, 2);
  const float expected[] = {0, 0.25f, 0.75f, 1};
  for (int x = 0; x < 4; ++x) {
    const Image even = overlay(grey(1, 1), std::vector<float>{expected[x]}, 1, 1);
    for (int c = 0; c < 3; ++c) CHECK(out.row(0)[3 * x + c] == even.row(0)[c]);
  }
  // Rows are rows: the same map standing up.
  const Image turned = overlay(grey(4, 1), map, 2, 1);
  CHECK(turned.rgb == out.rgb);
}

TEST_CASE("a map of another size and an empty picture are mistakes of the caller") {
  const std::vector<float> map(6, 0.5f);
  CHECK_THROWS_AS(overlay(grey(4, 4), map, 2, 2), std::logic_error);
  CHECK_THROWS_AS(overlay(grey(4, 4), {}, 0, 0), std::logic_error);
  CHECK_THROWS_AS(overlay(Image(), map, 2, 3), std::logic_error);
}

TEST_CASE("a data URI is the picture's JPEG in base64") {
  const std::string start = "data:image/jpeg;base64,";
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<bool> endings(3);  // 0, 1 and 2 characters of padding all occur
  for (int width = 1; width < 40; ++width) {
    const std::string uri = data_uri(gradient(7, width), 80);
    REQUIRE(uri.starts_with(start));
    std::vector<std::byte> bytes;
    std::size_t padding = 0;
    REQUIRE((uri.size() - start.size()) % 4 == 0);
    for (std::size_t i = start.size(); i < uri.size(); i += 4) {
      std::uint32_t bits = 0;
      for (std::size_t j = 0; j < 4; ++j) {
        const std::size_t digit = digits.find(uri[i + j]);
        if (digit == std::string::npos) REQUIRE(uri[i + j] == '=');
        padding += digit == std::string::npos;
        bits = bits << 6 | static_cast<std::uint32_t>(digit == std::string::npos ? 0 : digit);
      }
      for (const int shift : {16, 8, 0}) bytes.push_back(static_cast<std::byte>(bits >> shift & 255));
    }
    REQUIRE(padding < 3);
    endings[padding] = true;
    bytes.resize(bytes.size() - padding);
    const Image back = decode_image(bytes, "the URI's picture");
    CHECK(back.height == 7);
    CHECK(back.width == width);
  }
  CHECK((endings[0] && endings[1] && endings[2]));
}
