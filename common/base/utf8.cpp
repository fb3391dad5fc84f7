#include "common/base/utf8.h"

#include <algorithm>
#include <cstdint>

namespace vitrine {
namespace {

bool continues(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  constexpr std::uint32_t kMin[] = {0, 0x80, 0x800, 0x10000};  // indexed by the number of continuation bytes
  for (std::size_t i = 0; i < bytes.size();) {
    const auto first = static_cast<unsigned char>(bytes[i++]);
    const std::size_t more = first < 0x80 ? 0 : first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : first >> 3 == 30 ? 3 : 4;
    if (more == 4 || bytes.size() - i < more) return false;
    std::uint32_t code = more == 0 ? first : first & (0x3Fu >> more);
    for (const std::size_t end = i + more; i < end; ++i) {
      const auto next = static_cast<unsigned char>(bytes[i]);
      if (next >> 6 != 2) return false;
      code = code << 6 | (next & 0x3Fu);
    }
    if (code < kMin[more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
  }
  return true;
}

std::string cut_at_character(std::string line, std::size_t bytes) {
  if (line.size() <= bytes) return line;
  while (bytes > 0 && continues(line[bytes])) --bytes;
  line.resize(bytes);
  return line;
}

std::string padded(std::string word, std::size_t width) {
  const auto characters = static_cast<std::size_t>(std::ranges::count_if(word, [](char c) { return !continues(c); }));
  if (characters < width) word.append(width - characters, ' ');
  return word;
}

}  // namespace vitrine
