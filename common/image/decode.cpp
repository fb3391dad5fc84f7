#include "common/image/decode.h"

#include <webp/decode.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/base/error.h"
#include "common/image/exif.h"
#include "common/image/formats.h"

namespace vitrine {
namespace formats {

void check_size(ImageSize size, const std::string& name) {
  if (size.height < 1 || size.width < 1)
    throw Error(ErrorKind::kInput, {.path = name, .what = "has no pixels", .remedy = "leave it out of the data set"});
  if (static_cast<std::int64_t>(size.height) * size.width > std::int64_t{1} << 28)
    throw Error(ErrorKind::kInput,
                {.path = name,
                 .what = text("has ", size.height, " by ", size.width, " pixels, more than the limit of 268,435,456"),
                 .remedy = "make it smaller or leave it out of the data set"});
}

void refuse_for_memory(const std::string& name) {
  throw Error(ErrorKind::kMemory, {.what = text("there is too little memory to decode the image ", name),
                                   .remedy = "use fewer workers, or end other programs"});
}

ImageSize read_webp(Bytes bytes, const std::string& name, Image* image) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK)
    throw Error(
        ErrorKind::kCorrupt,
        {.path = name, .what = "is a damaged WebP file", .remedy = "restore it or leave it out of the data set"});
  if (features.has_animation)
    throw Error(ErrorKind::kInput, {.path = name,
                                    .what = "is an animated WebP file",
                                    .remedy = "convert it to a single picture or leave it out of the data set"});
  const ImageSize size{features.height, features.width};
  check_size(size, name);
  if (image == nullptr) return size;
  *image = Image(size.height, size.width);
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config))
    throw Error(ErrorKind::kInternal,
                {.what = "libwebp is of another version than its headers", .remedy = "build vitrine again"});
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {image->rgb.data(), size.width * 3, image->rgb.size()};
  errno = 0;
  const VP8StatusCode status = WebPDecode(data, bytes.size(), &config);
  // libwebp reports some failed allocations as a damaged bit stream; malloc() tells them apart.
  if (status == VP8_STATUS_OUT_OF_MEMORY || (status != VP8_STATUS_OK && errno == ENOMEM)) refuse_for_memory(name);
  if (status != VP8_STATUS_OK)
    throw Error(ErrorKind::kCorrupt, {.path = name,
                                      .what = "is a WebP file that is damaged or cut short",
                                      .remedy = "restore it or leave it out of the data set"});
  return size;
}

}  // namespace formats

namespace {

std::string_view text_of(formats::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
bool begins_as_jpeg(std::string_view content) {
  return content.starts_with("\xff\xd8\xff");
}
bool begins_as_png(std::string_view content) {
  return content.starts_with("\x89PNG\r\n\x1a\n");
}
bool begins_as_webp(std::string_view content) {
  return content.size() >= 12 && content.starts_with("RIFF") && content.substr(8, 4) == "WEBP";
}

ImageSize read(formats::Bytes bytes, const std::string& name, Image* image, bool scale_grey16) {
  const std::string_view content = text_of(bytes);
  if (content.empty())
    throw Error(ErrorKind::kInput,
                {.path = name, .what = "is an empty file", .remedy = "restore it or leave it out of the data set"});
  if (begins_as_jpeg(content)) return formats::read_jpeg(bytes, name, image);
  if (begins_as_png(content)) return formats::read_png(bytes, name, image, scale_grey16);
  if (begins_as_webp(content)) return formats::read_webp(bytes, name, image);
  throw Error(ErrorKind::kInput, {.path = name,
                                  .what = "is neither a JPEG nor a PNG nor a WebP file by its content",
                                  .remedy = "convert it or leave it out of the data set"});
}

bool swaps_sides(int orientation) {
  return orientation >= 5;
}

// Rotates and mirrors the stored image by its EXIF orientation.
Image upright(const Image& stored, int orientation) {
  const int last_row = stored.height - 1, last_column = stored.width - 1;
  const bool swaps = swaps_sides(orientation);
  // Which end of the stored rows and columns is the start of the upright image.
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Image out(swaps ? stored.width : stored.height, swaps ? stored.height : stored.width);
  for (int y = 0; y < out.height; ++y) {
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x, to += 3) {
      const int down = swaps ? x : y, across = swaps ? y : x;
      const std::uint8_t* from = stored.row(from_bottom ? last_row - down : down) +
                                 3 * static_cast<std::ptrdiff_t>(from_right ? last_column - across : across);
      std::copy_n(from, 3, to);
    }
  }
  return out;
}

}  // namespace

bool begins_as_picture(std::span<const std::byte> head) {
  const std::string_view content = text_of(head);
  return begins_as_jpeg(content) || begins_as_png(content) || begins_as_webp(content);
}

ImageSize read_image_size(std::span<const std::byte> bytes, const std::string& name, const Decoding& decoding) {
  const ImageSize size = read(bytes, name, nullptr, decoding.scale_grey16);
  const bool swaps = decoding.apply_orientation && swaps_sides(exif_orientation(bytes));
  return swaps ? ImageSize{size.width, size.height} : size;
}

Image decode_image(std::span<const std::byte> bytes, const std::string& name, const Decoding& decoding) {
  Image image;
  read(bytes, name, &image, decoding.scale_grey16);
  const int orientation = decoding.apply_orientation ? exif_orientation(bytes) : 1;
  return orientation == 1 ? image : upright(image, orientation);
}

std::map<std::string, std::string> decoder_versions() {
  const int webp = WebPGetDecoderVersion();
  return {{"libjpeg", formats::jpeg_version()},
          {"libpng", formats::png_version()},
          {"libwebp", text(webp >> 16, '.', webp >> 8 & 255, '.', webp & 255)}};
}

}  // namespace vitrine
