// Crops and resizes of pictures. Antialiased bicubic (a = -0.5) in integer arithmetic on uint8, with weights in 1/2^22:
// the crop is made first, so that pixels outside of it have no influence, then rows, then columns, each rounded to a
// byte, as Pillow does. The result depends on neither machine, instruction set nor threads; the work is done on the
// calling thread.
#ifndef VITRINE_COMMON_IMAGE_TRANSFORM_H_
#define VITRINE_COMMON_IMAGE_TRANSFORM_H_

#include "common/image/image.h"

namespace vitrine {

/// The crop [top, top + height) × [left, left + width) of the image at out_height × out_width, mirrored left to right
/// when `flip`. The crop must be non-empty and inside the image, the output non-empty (std::logic_error).
Image crop_resize(const Image& image, int top, int left, int height, int width, int out_height, int out_width,
                  bool flip);

/// timm's view for evaluation: the shorter side resized to floor(size / crop_pct), the other side in proportion
/// (truncated, as torchvision does), then the centre crop of size × size. crop_pct in (0, 1]. Only what the crop
/// needs is resized: memory follows `size` and the image, whatever its shape.
Image centre_view(const Image& image, int size, double crop_pct);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_TRANSFORM_H_
