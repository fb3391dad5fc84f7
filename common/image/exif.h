// What a file says of its own picture beside pixels.
#ifndef VITRINE_COMMON_IMAGE_EXIF_H_
#define VITRINE_COMMON_IMAGE_EXIF_H_

#include <cstddef>
#include <span>

namespace vitrine {

/// The orientation that a JPEG, PNG or WebP file's EXIF data gives: 1 (upright) to 8; 1 where it says none, or nothing
/// valid. Any bytes; never throws.
int exif_orientation(std::span<const std::byte> file);

/// Whether a PNG file has 16-bit grey samples, which are clipped or scaled (decode.h).
bool has_deep_grey(std::span<const std::byte> file);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_EXIF_H_
