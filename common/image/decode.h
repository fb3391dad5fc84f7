// Decodes image files. The format is detected from the content, not from the name (ImageNet has a PNG named .JPEG).
// Colours match PIL's convert("RGB"): grey is replicated; CMYK and YCCK are assumed to be inverted, as Adobe writes
// them, and each channel is multiplied by black; palettes are expanded; alpha is dropped; 16-bit colour keeps its high
// byte. By default 16-bit grey is clipped at 255 and EXIF orientation is ignored, as in timm and torchvision; a
// Decoding can scale grey to round(value / 257) and apply the orientation as PIL's exif_transpose() does.
//
// Pure functions, thread-safe. They throw Error if the file is damaged, truncated or in another format; its path is the
// image's name.
#ifndef VITRINE_COMMON_IMAGE_DECODE_H_
#define VITRINE_COMMON_IMAGE_DECODE_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "common/image/image.h"
#include "common/plan/image_index.h"

namespace vitrine {

/// Whether the first 12 bytes of a file match one of the supported formats.
bool begins_as_picture(std::span<const std::byte> head);

/// Size of decode_image()'s result, only from headers and EXIF data. `name`: the image's name in errors.
ImageSize read_image_size(std::span<const std::byte> bytes, const std::string& name, const Decoding& decoding = {});

/// Decodes the whole image. At most 2^28 pixels; larger images are rejected before memory is allocated.
Image decode_image(std::span<const std::byte> bytes, const std::string& name, const Decoding& decoding = {});

/// Names and versions of the decoding libraries; other versions may produce other pixels.
std::map<std::string, std::string> decoder_versions();

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_DECODE_H_
