#include "common/image/exif.h"

#include <cstdint>
#include <string_view>

namespace vitrine {
namespace {

using namespace std::literals;

// Bytes readable at any offset; 0 beyond the end.
class Reading {
 public:
  explicit Reading(std::string_view bytes) : bytes_(bytes) {}
  std::uint32_t number(std::size_t at, int count, bool big) const {
    std::uint32_t value = 0;
    for (int i = 0; i < count; ++i) {
      const std::size_t place = at + static_cast<std::size_t>(big ? i : count - 1 - i);
      value = value << 8 | (place < bytes_.size() ? static_cast<unsigned char>(bytes_[place]) : 0u);
    }
    return value;
  }
  std::string_view part(std::size_t at, std::size_t count) const {
    return at < bytes_.size() ? bytes_.substr(at, count) : std::string_view();
  }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
};

// Reads tag 0x0112 (a short; a long of some writers) of the first directory of TIFF data, which all three formats
// embed.
int tiff_orientation(std::string_view tiff) {
  const Reading in(tiff);
  const bool big = tiff.starts_with("MM");
  if (!big && !tiff.starts_with("II")) return 1;
  const std::size_t directory = in.number(4, 4, big), entries = in.number(directory, 2, big);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.size()) break;
    if (in.number(entry, 2, big) != 0x0112) continue;
    const bool is_long = in.number(entry + 2, 2, big) == 4;
    const std::uint32_t value = in.number(entry + 8, is_long ? 4 : 2, big);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

// The EXIF segment before the first scan.
std::string_view jpeg_exif(const Reading& file) {
  for (std::size_t at = 2; at + 4 <= file.size() && file.number(at, 1, true) == 0xFF;) {
    const std::uint32_t marker = file.number(at + 1, 1, true);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) break;
    const std::size_t bytes = file.number(at + 2, 2, true);
    const std::string_view segment = file.part(at + 4, bytes < 2 ? 0 : bytes - 2);
    if (marker == 0xE1 && segment.starts_with("Exif\0\0"sv)) return segment.substr(6);
    at += 2 + bytes;
  }
  return {};
}

std::string_view png_exif(const Reading& file) {
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t bytes = file.number(at, 4, true);
    if (file.part(at + 4, 4) == "eXIf") return file.part(at + 8, bytes);
    at += 12 + bytes;
  }
  return {};
}

std::string_view webp_exif(const Reading& file) {
  for (std::size_t at = 12; at + 8 <= file.size();) {
    const std::size_t bytes = file.number(at + 4, 4, false);
    if (file.part(at, 4) == "EXIF") {
      const std::string_view data = file.part(at + 8, bytes);
      return data.starts_with("Exif\0\0"sv) ? data.substr(6) : data;  // some writers keep the JPEG prefix
    }
    at += 8 + bytes + bytes % 2;
  }
  return {};
}

std::string_view as_text(std::span<const std::byte> file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

}  // namespace

int exif_orientation(std::span<const std::byte> file) {
  const std::string_view content = as_text(file);
  const Reading in(content);
  if (content.starts_with("\xff\xd8"sv)) return tiff_orientation(jpeg_exif(in));
  if (content.starts_with("\x89PNG"sv)) return tiff_orientation(png_exif(in));
  if (content.starts_with("RIFF"sv)) return tiff_orientation(webp_exif(in));
  return 1;
}

bool has_grey16(std::span<const std::byte> file) {
  const Reading in(as_text(file));
  return in.part(0, 4) == "\x89PNG" && in.number(24, 1, true) == 16 && in.number(25, 1, true) == 0;
}

}  // namespace vitrine
