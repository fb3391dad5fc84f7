// Decoders of the single formats, for decode.cpp. Each takes a whole file whose format was already detected, and throws
// Error whose path is `name`.
#ifndef VITRINE_COMMON_IMAGE_FORMATS_H_
#define VITRINE_COMMON_IMAGE_FORMATS_H_

#include <cstddef>
#include <span>
#include <string>

#include "common/image/image.h"

namespace vitrine::formats {

using Bytes = std::span<const std::byte>;

/// If `image` is null, only the header is read.
ImageSize read_jpeg(Bytes bytes, const std::string& name, Image* image);
/// `scale_grey16`: Decoding::scale_grey16.
ImageSize read_png(Bytes bytes, const std::string& name, Image* image, bool scale_grey16);
ImageSize read_webp(Bytes bytes, const std::string& name, Image* image);

/// Versions of the underlying libraries.
std::string jpeg_version();
std::string png_version();

/// Throws Error, kMemory: a decoder could not allocate what it needs for the image `name`.
[[noreturn]] void refuse_for_memory(const std::string& name);

/// Throws Error for an image without pixels or with more than 2^28.
void check_size(ImageSize size, const std::string& name);

}  // namespace vitrine::formats

#endif  // VITRINE_COMMON_IMAGE_FORMATS_H_
