// Image files: any bytes give a picture of the size that the header says, or an Error.
#include <cstdlib>
#include <span>
#include <vector>

#include "common/base/error.h"
#include "common/image/decode.h"
#include "common/image/exif.h"
#include "tests/fuzz/target.h"

FUZZ_TARGET(image) {
  using namespace vitrine;
  constexpr std::int64_t kMaxPixels = 1 << 22;  // more take long, and nothing else
  // A copy, so that a sanitizer sees the first byte after it.
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                     reinterpret_cast<const std::byte*>(data + size));
  const int orientation = exif_orientation(bytes);
  if (orientation < 1 || orientation > 8) std::abort();
  has_grey16(bytes);
  begins_as_picture(std::span(bytes).first(std::min<std::size_t>(bytes.size(), 12)));
  try {
    const ImageSize header = read_image_size(bytes, "input");
    if (std::int64_t{header.height} * header.width > kMaxPixels) return 0;
    const Image image = decode_image(bytes, "input");
    if (image.height != header.height || image.width != header.width ||
        image.rgb.size() != static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width) * 3)
      std::abort();
  } catch (const Error&) {
  }
  return 0;
}
