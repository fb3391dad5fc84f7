// libjpeg reports errors through a function that must not return: it uses longjmp. No object with a destructor may live
// in the skipped frames.
// clang-format off
#include <csetjmp>
#include <cstdio>  // before jpeglib.h, which needs size_t and FILE
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "common/base/error.h"
#include "common/image/formats.h"
#include "common/image/write.h"

namespace vitrine {
namespace {

struct Errors {
  jpeg_error_mgr base;
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
  bool memory;  // an allocation failed: the file may be sound
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<Errors*>(info->err);
  info->err->format_message(info, errors->message);
  const int code = info->err->msg_code;
  errors->memory = code == JERR_OUT_OF_MEMORY || code == JERR_NO_BACKING_STORE;
  std::longjmp(errors->back, 1);
}

// Whether a warning means that pixels are missing or wrong: libjpeg goes on and fills in grey. Others (stray bytes
// between segments, an odd header) are harmless.
bool costs_pixels(int code) {
  switch (code) {
    case JWRN_JPEG_EOF:       // the file ends too early
    case JWRN_HIT_MARKER:     // the data end too early, at a marker
    case JWRN_HUFF_BAD_CODE:  // the data are wrong
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:  // a restart marker is missing, and with it what precedes it
      return true;
    default:
      return false;
  }
}

void on_message(j_common_ptr info, int level) {
  if (level < 0 && costs_pixels(info->err->msg_code)) on_error(info);
}

jpeg_error_mgr* set_up(Errors& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = on_error;
  errors.base.emit_message = on_message;
  errors.message[0] = 0;
  errors.memory = false;
  return &errors.base;
}

// Decoder state; the destructor releases libjpeg's memory.
struct Reader {
  jpeg_decompress_struct info{};
  Errors errors{};
  ~Reader() { jpeg_destroy_decompress(&info); }

  bool header(const unsigned char* data, unsigned long bytes) {
    info.err = set_up(errors);
    if (setjmp(errors.back)) return false;
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, data, bytes);
    jpeg_read_header(&info, TRUE);
    return true;
  }
  bool ink() const { return info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK; }
  // `rows`: one pointer per row, each to width × (ink() ? 4 : 3) bytes.
  bool pixels(JSAMPROW* rows) {
    if (setjmp(errors.back)) return false;
    info.out_color_space = ink() ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height)
      jpeg_read_scanlines(&info, rows + info.output_scanline, info.output_height - info.output_scanline);
    return true;
  }
};

// PIL's cmyk2rgb on inverted ink, as Adobe stores it: 255 is no ink.
void ink_to_rgb(const unsigned char* ink, unsigned char* rgb, std::size_t pixels) {
  for (; pixels > 0; --pixels, ink += 4, rgb += 3) {
    const int light = ink[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - ink[c]) * light + 128;
      rgb[c] = static_cast<unsigned char>(std::max(0, light - (((product >> 8) + product) >> 8)));
    }
  }
}

struct Writer {
  jpeg_compress_struct info{};
  Errors errors{};
  unsigned char* buffer = nullptr;
  unsigned long bytes = 0;
  ~Writer() {
    jpeg_destroy_compress(&info);
    std::free(buffer);
  }
  bool write(const Image& image, int quality) {
    info.err = set_up(errors);
    if (setjmp(errors.back)) return false;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &buffer, &bytes);
    info.image_width = static_cast<JDIMENSION>(image.width);
    info.image_height = static_cast<JDIMENSION>(image.height);
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    info.optimize_coding = TRUE;
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
      auto* row = const_cast<JSAMPROW>(image.row(static_cast<int>(info.next_scanline)));
      jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    return true;
  }
};

}  // namespace

std::string formats::jpeg_version() {
#ifdef LIBJPEG_TURBO_VERSION
#define VITRINE_WORDS(x) #x
#define VITRINE_WORDS_OF(x) VITRINE_WORDS(x)
  return "turbo " VITRINE_WORDS_OF(LIBJPEG_TURBO_VERSION);
#else
  return text(JPEG_LIB_VERSION);
#endif
}

ImageSize formats::read_jpeg(Bytes bytes, const std::string& name, Image* image) {
  Reader reader;
  const auto refuse = [&] {
    if (reader.errors.memory) refuse_for_memory(name);
    throw Error(ErrorKind::kCorrupt,
                {.path = name,
                 .what = text("is a JPEG file that is damaged or cut short (", reader.errors.message, ")"),
                 .remedy = "restore it or leave it out of the data set"});
  };
  if (!reader.header(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size())) refuse();
  const ImageSize size{static_cast<int>(reader.info.image_height), static_cast<int>(reader.info.image_width)};
  check_size(size, name);
  if (image == nullptr) return size;

  *image = Image(size.height, size.width);
  const std::size_t pixels = image->rgb.size() / 3, samples = reader.ink() ? 4 : 3;
  std::vector<unsigned char> ink(reader.ink() ? pixels * 4 : 0);
  unsigned char* target = reader.ink() ? ink.data() : image->rgb.data();
  std::vector<JSAMPROW> rows(static_cast<std::size_t>(size.height));
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = target + y * static_cast<std::size_t>(size.width) * samples;
  if (!reader.pixels(rows.data())) refuse();
  if (reader.ink()) ink_to_rgb(ink.data(), image->rgb.data(), pixels);
  return size;
}

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  Writer writer;
  if (!writer.write(image, quality))
    fail("cannot write a picture of ", image.height, " by ", image.width, " pixels as JPEG: ", writer.errors.message);
  const auto* begin = reinterpret_cast<const std::byte*>(writer.buffer);
  return {begin, begin + writer.bytes};
}

}  // namespace vitrine
