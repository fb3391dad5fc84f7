// libpng reports errors by longjmp; see jpeg.cpp.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "common/base/error.h"
#include "common/image/formats.h"
#include "common/image/write.h"

namespace vitrine {
namespace {

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const std::byte* next = nullptr;
  std::size_t left = 0;
  char message[200] = "";
  bool memory = false;  // an allocation failed: later errors do not mean that the file is damaged
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }

  static void on_error(png_structp png, png_const_charp text) {
    auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
    std::snprintf(reader->message, sizeof reader->message, "%s", text);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}  // warnings concern metadata such as profiles, not pixels
  static void on_read(png_structp png, png_bytep out, std::size_t bytes) {
    auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
    if (bytes > reader->left) png_error(png, "the file ends too early");
    std::memcpy(out, reader->next, bytes);
    reader->next += bytes;
    reader->left -= bytes;
  }

  static png_voidp on_allocate(png_structp png, png_alloc_size_t bytes) {
    void* memory = std::malloc(bytes);
    if (memory == nullptr) static_cast<Reader*>(png_get_mem_ptr(png))->memory = true;
    return memory;
  }
  static void on_free(png_structp, png_voidp memory) { std::free(memory); }

  bool header() {
    png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, this, on_error, on_warning, this, on_allocate, on_free);
    if (png == nullptr) return false;
    if (setjmp(png_jmpbuf(png))) return false;
    info = png_create_info_struct(png);
    if (info == nullptr) png_error(png, "out of memory");
    png_set_read_fn(png, this, on_read);
    png_read_info(png, info);
    return true;
  }
  bool grey16() const {
    return png_get_bit_depth(png, info) == 16 && png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY;
  }
  // `rows`: one pointer per row, each to width × 3 bytes; for grey16() the first width × 2 receive big-endian
  // samples.
  bool pixels(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png))) return false;
    if (!grey16()) {
      png_set_expand(png);  // expand palettes to RGB, and 1, 2 and 4 bits to 8
      png_set_strip_16(png);
      png_set_strip_alpha(png);
      png_set_gray_to_rgb(png);
    } else {
      png_set_strip_alpha(png);
    }
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    png_read_image(png, rows);
    return true;
  }
};

png_byte byte_of_grey16(int value, bool scale) {
  return static_cast<png_byte>(scale ? (value + 128) / 257 : std::min(value, 255));
}

}  // namespace

std::string formats::png_version() {
  return png_get_libpng_ver(nullptr);
}

ImageSize formats::read_png(Bytes bytes, const std::string& name, Image* image, bool scale_grey16) {
  Reader reader;
  reader.next = bytes.data();
  reader.left = bytes.size();
  const auto refuse = [&] {
    if (reader.memory) refuse_for_memory(name);
    throw Error(ErrorKind::kCorrupt, {.path = name,
                                      .what = text("is a PNG file that is damaged or cut short (", reader.message, ")"),
                                      .remedy = "restore it or leave it out of the data set"});
  };
  if (!reader.header()) refuse();
  const ImageSize size{static_cast<int>(png_get_image_height(reader.png, reader.info)),
                       static_cast<int>(png_get_image_width(reader.png, reader.info))};
  check_size(size, name);
  if (image == nullptr) return size;

  *image = Image(size.height, size.width);
  std::vector<png_bytep> rows(static_cast<std::size_t>(size.height));
  for (int y = 0; y < size.height; ++y) rows[static_cast<std::size_t>(y)] = image->row(y);
  const bool grey16 = reader.grey16();
  if (!reader.pixels(rows.data())) refuse();
  if (grey16)
    for (png_bytep row : rows)
      for (int x = size.width - 1; x >= 0; --x)  // in place, from the right: 2 bytes become 3
        std::fill_n(row + 3 * x, 3, byte_of_grey16(row[2 * x] << 8 | row[2 * x + 1], scale_grey16));
  return size;
}

std::vector<std::byte> encode_png(const Image& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_RGB;
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::vector<std::byte> file(bytes);
  if (!png_image_write_to_memory(&png, file.data(), &bytes, 0, image.rgb.data(), 0, nullptr))
    fail("cannot write a picture of ", image.height, " by ", image.width, " pixels as PNG: ", png.message);
  file.resize(bytes);
  return file;
}

}  // namespace vitrine
