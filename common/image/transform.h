// Crops and resizes of pictures. Antialiased bicubic (a = -0.5) in integer arithmetic on uint8; the crop is made first,
// so that pixels outside of it have no influence. Pillow's result within one level; about one byte in 100,000 differs
// by two, because the weights here have 16 bits and Pillow's 22.
//
// The work is done by ATen's uint8 resampler (what torchvision calls), on the calling thread alone where the processor
// has AVX2. Without it OpenMP's pool may take part, whose size is the caller's to set: call at::set_num_threads(1) once
// in each worker thread. The result does not depend on it.
#ifndef VITRINE_COMMON_IMAGE_TRANSFORM_H_
#define VITRINE_COMMON_IMAGE_TRANSFORM_H_

#include "common/image/image.h"

namespace vitrine {

/// The crop [top, top + height) × [left, left + width) of the image at out_height × out_width, mirrored left to right
/// when `flip`. The crop must be non-empty and inside the image, the output non-empty (std::logic_error).
Image crop_resize(const Image& image, int top, int left, int height, int width, int out_height, int out_width,
                  bool flip);

/// timm's view for evaluation: the shorter side resized to floor(size / crop_fraction), the other side in proportion
/// (truncated, as torchvision does), then the centre crop of size × size. crop_fraction in (0, 1].
Image centre_view(const Image& image, int size, double crop_fraction);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_TRANSFORM_H_
