// Pictures into files' bytes.
#ifndef VITRINE_COMMON_IMAGE_WRITE_H_
#define VITRINE_COMMON_IMAGE_WRITE_H_

#include <cstddef>
#include <vector>

#include "common/image/image.h"

namespace vitrine {

/// A baseline JPEG, 4:2:0, quality 1..100. The same bytes for the same picture with one version of the library. Throws
/// Error when the encoder fails.
std::vector<std::byte> encode_jpeg(const Image& image, int quality);

/// An 8-bit RGB PNG, without loss.
std::vector<std::byte> encode_png(const Image& image);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_WRITE_H_
