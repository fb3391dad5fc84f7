// Pictures for the tests of images.
#ifndef VITRINE_TESTS_IMAGE_SAMPLES_H_
#define VITRINE_TESTS_IMAGE_SAMPLES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/image/image.h"

namespace vitrine::testing {

inline Image gradient(int height, int width) {
  Image image(height, width);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      image.row(y)[3 * x] = static_cast<std::uint8_t>(y * 7);
      image.row(y)[3 * x + 1] = static_cast<std::uint8_t>(x * 5);
      image.row(y)[3 * x + 2] = static_cast<std::uint8_t>(x * y);
    }
  return image;
}

inline std::string as_string(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_IMAGE_SAMPLES_H_
