// Encodes images.
#ifndef VITRINE_COMMON_IMAGE_WRITE_H_
#define VITRINE_COMMON_IMAGE_WRITE_H_

#include <cstddef>
#include <vector>

#include "common/image/image.h"

namespace vitrine {

/// Baseline JPEG, 4:2:0, quality 1..100. Deterministic for one version of the library. Throws Error if the encoder
/// fails.
std::vector<std::byte> encode_jpeg(const Image& image, int quality);

/// 8-bit RGB PNG.
std::vector<std::byte> encode_png(const Image& image);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_WRITE_H_
