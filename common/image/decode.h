// Image files into pictures. The format is told by the content, never by the name (ImageNet has a PNG named .JPEG).
// Colours are those of PIL's convert("RGB"): grey is repeated; CMYK and YCCK are taken as inverted, as Adobe writes
// them, and each colour is the white that ink and black leave; palettes are looked up; alpha is dropped; 16-bit colour
// keeps its high byte. 16-bit grey is clipped at 255 and EXIF orientation ignored, as timm and torchvision do, unless a
// Decoding says otherwise: it is then scaled to round(value / 257), and the picture turned as PIL's exif_transpose()
// does.
//
// Pure functions; any thread. A file that is damaged, cut short or of another format is an Error that names it.
#ifndef VITRINE_COMMON_IMAGE_DECODE_H_
#define VITRINE_COMMON_IMAGE_DECODE_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "common/image/image.h"
#include "common/plan/image_index.h"

namespace vitrine {

/// Whether a file begins as a picture of one of the formats: by its first 12 bytes.
bool begins_as_picture(std::span<const std::byte> head);

/// Height and width of what decode_image() gives, from headers and EXIF data alone. `name` is what errors call the
/// image.
ImageSize read_image_size(std::span<const std::byte> bytes, const std::string& name, const Decoding& decoding = {});

/// The whole picture. At most 2^28 pixels (a larger one is refused before memory is taken).
Image decode_image(std::span<const std::byte> bytes, const std::string& name, const Decoding& decoding = {});

/// The libraries that decode, by name, and their versions: other versions may make other pixels.
std::map<std::string, std::string> decoder_versions();

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_DECODE_H_
