// Crops and resizes images. Antialiased bicubic (a = -0.5) in integer arithmetic on uint8, with weights in 1/2^22 as in
// Pillow: the crop is taken first, so that pixels outside it have no influence; then rows are resampled, then columns,
// each pass rounding to bytes. The result does not depend on machine, instruction set or threads. Runs on the calling
// thread.
#ifndef VITRINE_COMMON_IMAGE_TRANSFORM_H_
#define VITRINE_COMMON_IMAGE_TRANSFORM_H_

#include "common/image/image.h"

namespace vitrine {

/// The crop [top, top + height) × [left, left + width) of the image, resized to out_height × out_width and mirrored
/// horizontally if `flip`. The crop must be non-empty and inside the image, the output non-empty (std::logic_error).
Image crop_resize(const Image& image, int top, int left, int height, int width, int out_height, int out_width,
                  bool flip);

enum class CropMode {
  kCentre,  ///< resizes the shorter side and keeps the sides' ratio
  kSquash   ///< resizes both sides to the same length
};

/// timm's evaluation crop, 0 < crop_pct <= 1: the shorter side resized to floor(size / crop_pct), the other side in
/// proportion (truncated, as in torchvision), then the centre crop of size × size; kSquash resizes both sides to that
/// length. Only the pixels of the crop are resampled, so memory is bounded by `size` and the image even for extreme
/// aspect ratios.
Image centre_view(const Image& image, int size, double crop_pct, CropMode mode = CropMode::kCentre);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_TRANSFORM_H_
