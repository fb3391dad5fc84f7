// clang-format off
#include <torch/torch.h>  // first: it is precompiled

#include "common/image/transform.h"
// clang-format on

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace vitrine {

Image crop_resize(const Image& image, int top, int left, int height, int width, int out_height, int out_width,
                  bool flip) {
  if (top < 0 || left < 0 || height < 1 || width < 1 || height > image.height - top || width > image.width - left ||
      out_height < 1 || out_width < 1)
    throw std::logic_error("crop_resize: a crop outside of the image, or nothing to make");
  // A copy of its own: the resampler takes dense channels-last memory, and a copy by rows stays on this thread.
  Image crop(height, width);
  for (int y = 0; y < height; ++y)
    std::memcpy(crop.row(y), image.row(top + y) + std::size_t{3} * static_cast<std::size_t>(left),
                std::size_t{3} * static_cast<std::size_t>(width));
  Image out;
  if (height == out_height && width == out_width) {
    out = std::move(crop);
  } else {
    const c10::InferenceMode no_graph;
    const at::Tensor pixels =
        at::from_blob(crop.rgb.data(), {1, 3, height, width}, {3LL * height * width, 1, 3LL * width, 3}, at::kByte);
    const at::Tensor resized = at::_upsample_bicubic2d_aa(pixels, {out_height, out_width}, /*align_corners=*/false)
                                   .permute({0, 2, 3, 1})
                                   .contiguous();
    out = Image(out_height, out_width);
    std::memcpy(out.rgb.data(), resized.const_data_ptr<std::uint8_t>(), out.rgb.size());
  }
  if (flip) {
    for (int y = 0; y < out.height; ++y) {
      std::uint8_t* row = out.row(y);
      for (int a = 0, b = out.width - 1; a < b; ++a, --b) std::swap_ranges(row + 3 * a, row + 3 * a + 3, row + 3 * b);
    }
  }
  return out;
}

Image centre_view(const Image& image, int size, double crop_fraction) {
  if (size < 1 || !(crop_fraction > 0 && crop_fraction <= 1))
    throw std::logic_error("centre_view: a size below 1 or a crop fraction outside (0, 1]");
  const int shorter = static_cast<int>(std::floor(size / crop_fraction));
  const bool tall = image.height > image.width;
  const int longer = static_cast<int>(static_cast<std::int64_t>(shorter) * (tall ? image.height : image.width) /
                                      (tall ? image.width : image.height));
  const int height = tall ? longer : shorter, width = tall ? shorter : longer;
  const Image resized = crop_resize(image, 0, 0, image.height, image.width, height, width, false);
  // Halves to even, as Python's round().
  const int top = static_cast<int>(std::nearbyint((height - size) / 2.0));
  const int left = static_cast<int>(std::nearbyint((width - size) / 2.0));
  return crop_resize(resized, top, left, size, size, size, size, false);
}

}  // namespace vitrine
