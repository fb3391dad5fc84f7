#include "tools/pack/tar.h"

#include <algorithm>
#include <cstdio>

#include "common/base/error.h"

namespace vitrine {
namespace {

// Fields of a header: offset and width.
struct Field {
  std::size_t at, width;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUser{108, 8}, kGroup{116, 8}, kSize{124, 12}, kTime{136, 12},
    kChecksum{148, 8}, kType{156, 1}, kMagic{257, 8};
constexpr std::string_view kUstar{"ustar\00000", 8};  // magic and version

constexpr std::uint64_t kMaxOctalBytes = (std::uint64_t{1} << 33) - 1;  // eleven octal digits
constexpr std::uint64_t kTime2000 = 946684800;                          // GNU tar warns of times near 0

void put(std::string& block, Field field, std::string_view value) {
  block.replace(field.at, value.size(), value);
}

// Octal digits that fill the field but for its last byte, 0.
void put_octal(std::string& block, Field field, std::uint64_t number) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%0*llo", static_cast<int>(field.width - 1),
                static_cast<unsigned long long>(number));
  put(block, field, digits);
}

std::string header_block(std::string_view name, std::uint64_t bytes, char type) {
  std::string block(kTarBlock, '\0');
  put(block, kName, name);
  put_octal(block, kMode, 0644);
  put_octal(block, kUser, 0);
  put_octal(block, kGroup, 0);
  put_octal(block, kSize, bytes);
  put_octal(block, kTime, kTime2000);
  put(block, kType, std::string_view(&type, 1));
  put(block, kMagic, kUstar);
  put(block, kChecksum, "        ");
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put_octal(block, {kChecksum.at, kChecksum.width - 1}, sum);  // six digits, 0, and the space that is there
  return block;
}

// "LENGTH key=value\n", whose length counts its own digits.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;  // a space, '=', '\n'
  std::size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) length = std::to_string(length).size() + rest;
  return text(length, ' ', key, '=', value, '\n');
}

std::string_view field_of(std::string_view block, Field field) {
  const std::string_view whole = block.substr(field.at, field.width);
  return whole.substr(0, whole.find('\0'));
}

std::string printable(std::string_view name) {
  std::string out;
  for (const char c : name) out += c >= ' ' && c <= '~' ? c : '?';
  return out;
}

const char* kind_of_member(char type) {
  switch (type) {
    case '\0':
    case '0':
      return "the file";
    case '1':
      return "a hard link";
    case '2':
      return "a symbolic link";
    case '3':
    case '4':
      return "a device";
    case '5':
      return "a directory";
    case '6':
      return "a named pipe";
    default:
      return "a special member";
  }
}

}  // namespace

std::string tar_header(std::string_view path, std::uint64_t bytes) {
  const bool is_long = path.size() > kName.width, is_large = bytes > kMaxOctalBytes;
  std::string out;
  if (is_long || is_large) {
    std::string records;
    if (is_long) records += pax_record("path", path);
    if (is_large) records += pax_record("size", std::to_string(bytes));
    out = header_block("PaxHeader", records.size(), 'x') + records;
    out.append(tar_padding(records.size()), '\0');
  }
  return out + header_block(path.substr(0, kName.width), is_large ? 0 : bytes, '0');
}

std::size_t tar_padding(std::uint64_t bytes) {
  return static_cast<std::size_t>((kTarBlock - bytes % kTarBlock) % kTarBlock);
}

TarBlock read_tar_block(std::string_view block) {
  if (block.find_first_not_of('\0') == std::string_view::npos) return {"the end of the archive", 0};
  if (block.substr(kMagic.at, 5) != "ustar") return {"no header of a file", 0};
  TarBlock out{text(kind_of_member(block[kType.at]), " ", printable(field_of(block, kName))), 0};
  const std::string_view digits = field_of(block, kSize);
  if (!digits.empty() && digits.find_first_not_of("01234567") == std::string_view::npos)
    out.bytes = std::stoull(std::string(digits), nullptr, 8);
  return out;
}

}  // namespace vitrine
