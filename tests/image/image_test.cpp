#include "common/image/image.h"

#include <string>
#include <string_view>

#include "common/base/error.h"
#include "common/image/decode.h"
#include "common/image/exif.h"
#include "common/image/look.h"
#include "common/image/scan.h"
#include "common/image/write.h"
#include "tests/image/samples.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::as_string;
using vitrine::testing::gradient;
using vitrine::testing::has;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;

namespace {

Image decode(std::string_view content) {
  return decode_image(std::as_bytes(std::span(content)), "cats/1.jpg");
}

// The message of the Error thrown by decoding; empty if none.
std::string refusal(std::string_view content) {
  try {
    decode(content);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a PNG of any size round-trips") {
  for (const int height : {1, 2, 31})
    for (const int width : {1, 3, 50}) {
      const Image image = gradient(height, width);
      const std::string file = as_string(encode_png(image));
      CHECK(decode(file).rgb == image.rgb);
      const ImageSize size = read_image_size(std::as_bytes(std::span(file)), "x");
      CHECK(size.height == height);
      CHECK(size.width == width);
    }
}

TEST_CASE("a JPEG keeps its size and approximately its colours") {
  Image image(33, 47);
  for (std::size_t i = 0; i < image.rgb.size(); i += 3)
    image.rgb[i] = 200, image.rgb[i + 1] = 100, image.rgb[i + 2] = 50;
  const std::string file = as_string(encode_jpeg(image, 95));
  const Image back = decode(file);
  REQUIRE(back.height == 33);
  REQUIRE(back.width == 47);
  for (std::size_t i = 0; i < back.rgb.size(); ++i) CHECK(std::abs(int{back.rgb[i]} - int{image.rgb[i]}) <= 3);
  CHECK(as_string(encode_jpeg(image, 95)) == file);
}

TEST_CASE("files truncated anywhere are refused by name, also with the format's end after the cut") {
  using namespace std::literals;
  const Image image = gradient(64, 80);
  const std::string jpeg = as_string(encode_jpeg(image, 90)), png = as_string(encode_png(image));
  for (const std::string& file : {jpeg, png})
    for (const std::string& end : {""s, file.substr(file.size() - (file == jpeg ? 2 : 12))})
      for (std::size_t length = 0; length < file.size() - 16; length += 1 + file.size() / 97) {
        const std::string message = refusal(file.substr(0, length) + end);
        CAPTURE(length);
        CAPTURE(end.size());
        CHECK(has(message, "cats/1.jpg"));
      }
}

TEST_CASE("a JPEG without one of its restart intervals is refused, one with stray bytes is not") {
  using namespace std::literals;
  const std::string jpeg = as_string(encode_jpeg(gradient(64, 80), 90));
  const std::size_t scan = jpeg.find("\xff\xda"s);
  // A restart interval of 0x101 MCUs, more than there are: the decoder expects no marker.
  const std::string restarts = jpeg.substr(0, scan) + "\xff\xdd\0\x04\x01\x01"s + jpeg.substr(scan);
  CHECK(decode(restarts).rgb == decode(jpeg).rgb);
  std::string lost = restarts;
  lost[scan + 4] = 0, lost[scan + 5] = 2;  // of 2 MCUs, and no marker follows them
  CHECK(has(refusal(lost), "is a JPEG file that is damaged or cut short (Corrupt JPEG data"));
  for (const std::size_t place : {scan, jpeg.size() - 2})
    CHECK(decode(jpeg.substr(0, place) + "stray" + jpeg.substr(place)).rgb == decode(jpeg).rgb);
}

TEST_CASE("damaged bytes give a picture or an Error") {
  const Image image = gradient(40, 40);
  for (const std::string& file : {as_string(encode_jpeg(image, 90)), as_string(encode_png(image))})
    for (std::size_t i = 0; i < file.size(); i += 3) {
      std::string damaged = file;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
      try {
        const Image picture = decode(damaged);
        CHECK(picture.rgb.size() ==
              static_cast<std::size_t>(picture.height) * static_cast<std::size_t>(picture.width) * 3);
      } catch (const Error&) {
      }
    }
}

TEST_CASE("files of other formats are refused with the expected ones") {
  CHECK(has(refusal(""), "empty file"));
  CHECK(
      refusal("GIF89a and so on") ==
      "cats/1.jpg: is neither a JPEG nor a PNG nor a WebP file by its content; convert it or leave it out of the data "
      "set");
  CHECK(has(refusal(std::string("RIFF\x10\0\0\0WEBPVP8 xxxxxxx", 23)), "WebP"));
}

TEST_CASE("EXIF orientation and 16-bit grey are detected in every format, and counted") {
  using namespace std::literals;
  const std::string jpeg = as_string(encode_jpeg(gradient(20, 30), 90)), png = as_string(encode_png(gradient(5, 6)));
  const auto tiff = [](int orientation, bool big) {
    const char value = static_cast<char>(orientation);
    return big ? "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"s + value + "\0\0\0\0\0\0"s
               : "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"s + value + "\0\0\0\0\0\0\0"s;
  };
  const auto orientation_of = [](const std::string& file) { return exif_orientation(std::as_bytes(std::span(file))); };
  const auto as_jpeg = [&](const std::string& exif) {
    const std::string segment = "Exif\0\0"s + exif;
    return jpeg.substr(0, 2) + "\xff\xe1\0"s + static_cast<char>(segment.size() + 2) + segment + jpeg.substr(2);
  };
  const auto as_png = [&](const std::string& exif) {  // its checksum is not checked here
    return png.substr(0, 33) + "\0\0\0"s + static_cast<char>(exif.size()) + "eXIf" + exif + "crc!" + png.substr(33);
  };
  const auto as_webp = [&](const std::string& exif) {
    return "RIFF\0\0\0\0WEBPVP8X\x03\0\0\0abc\0EXIF"s + static_cast<char>(exif.size()) + "\0\0\0"s + exif;
  };
  CHECK(orientation_of(jpeg) == 1);
  CHECK(orientation_of(png) == 1);
  for (const bool big : {false, true})
    for (int orientation = 1; orientation <= 8; ++orientation) {
      CHECK(orientation_of(as_jpeg(tiff(orientation, big))) == orientation);
      CHECK(orientation_of(as_png(tiff(orientation, big))) == orientation);
      CHECK(orientation_of(as_webp(tiff(orientation, big))) == orientation);
    }
  CHECK(orientation_of(as_jpeg(tiff(9, true))) == 1);
  CHECK(orientation_of(as_jpeg("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x06\0\0\0\0"s)) == 6);  // a long
  CHECK(orientation_of(as_jpeg("II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0\0\0\0\0"s)) == 6);
  const std::string rotated = as_jpeg(tiff(6, false));
  for (std::size_t bytes = 0; bytes < 60; ++bytes) CHECK(orientation_of(rotated.substr(0, bytes)) >= 1);

  const TemporaryDirectory root;
  write_whole(root / "a/1.jpg", rotated);
  write_whole(root / "a/2.jpg", jpeg);
  write_whole(root / "b/1.jpg", as_jpeg(tiff(1, false)));
  std::string deep = png;
  deep[24] = 16, deep[25] = 0;  // a header that says so; its checksum is read below alone
  CHECK(has_grey16(std::as_bytes(std::span(deep))));
  CHECK(!has_grey16(std::as_bytes(std::span(png))));
  CHECK(!has_grey16(std::as_bytes(std::span(jpeg))));
  const FolderScan scan = scan_images(root.path(), {});
  CHECK((scan.counts == PictureCounts{.rotated = 1, .grey16 = 0, .looked_at = 3}));
  // With a known index they are not searched again.
  const KnownIndex known{scan.index, {}, scan.depth, PictureCounts{7, 8, 9}};
  CHECK((scan_images(root.path(), {}, known).counts == PictureCounts{7, 8, 9}));
}
