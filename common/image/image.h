// An image: uint8 RGB, top row first, HWC, contiguous.
#ifndef VITRINE_COMMON_IMAGE_IMAGE_H_
#define VITRINE_COMMON_IMAGE_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vitrine {

struct ImageSize {
  int height = 0, width = 0;
};

struct Image {
  int height = 0, width = 0;
  std::vector<std::uint8_t> rgb;  ///< [height, width, 3]

  Image() = default;
  Image(int rows, int columns)
      : height(rows), width(columns), rgb(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns) * 3) {}
  std::uint8_t* row(int y) { return rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3; }
  const std::uint8_t* row(int y) const {
    return rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
  }
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_IMAGE_H_
