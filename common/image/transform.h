// Crops and resizes images. Antialiased, in integer arithmetic on uint8, with filters and weights in 1/2^22 as in
// Pillow: the crop is taken first, so that pixels outside it have no influence; then rows are resampled, then columns,
// each pass rounding to bytes. The result does not depend on machine, instruction set or threads. Runs on the calling
// thread.
#ifndef VITRINE_COMMON_IMAGE_TRANSFORM_H_
#define VITRINE_COMMON_IMAGE_TRANSFORM_H_

#include <optional>
#include <string_view>

#include "common/image/image.h"

namespace vitrine {

/// The crop [top, top + height) × [left, left + width) of the image, resized (bicubic) to out_height × out_width and
/// mirrored horizontally if `flip`. The crop must be non-empty and inside the image, the output non-empty
/// (std::logic_error).
Image crop_resize(const Image& image, int top, int left, int height, int width, int out_height, int out_width,
                  bool flip);

enum class CropMode {
  kCentre,  ///< resizes the shorter side and keeps the sides' ratio
  kSquash   ///< resizes both sides to the same length
};

/// Of resizing, by Pillow's names. Bicubic is Keys' with a = -0.5, lanczos has three lobes.
enum class ResampleFilter { kBox, kBilinear, kHamming, kBicubic, kLanczos };

/// "box", "bilinear", "hamming", "bicubic" or "lanczos"; nullopt for another word.
std::optional<ResampleFilter> resample_filter(std::string_view name);

/// How a model wants the pictures on which it is evaluated. 0 < crop_pct <= 1.
struct CleanCrop {
  double crop_pct = 1;
  CropMode mode = CropMode::kCentre;
  ResampleFilter filter = ResampleFilter::kBicubic;
};

/// timm's evaluation crop: the shorter side resized to floor(size / crop_pct), the other side in
/// proportion (truncated, as in torchvision), then the centre crop of size × size; kSquash resizes both sides to that
/// length. Only the pixels of the crop are resampled, so memory is bounded by `size` and the image even for extreme
/// aspect ratios.
Image centre_view(const Image& image, int size, const CleanCrop& crop);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_TRANSFORM_H_
