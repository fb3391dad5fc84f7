// Cheap metadata probes of image files, which decode no pixels.
#ifndef VITRINE_COMMON_IMAGE_EXIF_H_
#define VITRINE_COMMON_IMAGE_EXIF_H_

#include <cstddef>
#include <span>

namespace vitrine {

/// EXIF orientation of a JPEG, PNG or WebP file: 1 (upright) to 8; 1 if absent or invalid. Accepts any bytes; never
/// throws.
int exif_orientation(std::span<const std::byte> file);

/// Whether a PNG file has 16-bit grey samples, which decode_image() clips or scales.
bool has_grey16(std::span<const std::byte> file);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_EXIF_H_
