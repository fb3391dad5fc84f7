#include "common/models/weights/zip_archive.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "common/base/error.h"

namespace vitrine {
namespace {

using ZipBytes = std::span<const std::byte>;

constexpr std::uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                        kEnd64Locator = 0x07064b50;
constexpr std::size_t kLocalHeaderBytes = 30, kCentralHeaderBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                      kLocatorBytes = 20;
constexpr std::size_t kMaxComment = 65535;
constexpr std::uint32_t kIn64 = 0xffffffff;  // the field's value is in the zip64 record

/// A little-endian number; the caller has checked the bounds.
template <class Integer>
Integer zip_number(ZipBytes bytes, std::size_t at) {
  Integer value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

bool within(ZipBytes bytes, std::uint64_t at, std::uint64_t size) {
  return at <= bytes.size() && size <= bytes.size() - at;
}

using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr CrcTables crc_tables() {
  CrcTables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0xedb88320u : 0u);
    tables[0][i] = c;
  }
  for (std::size_t t = 1; t < 8; ++t)
    for (std::size_t i = 0; i < 256; ++i) tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 255];
  return tables;
}
constexpr CrcTables kCrcTables = crc_tables();

/// CRC-32 (ISO 3309), eight bytes at a time: table t holds the remainders of a byte followed by t zero bytes.
std::uint32_t crc32(ZipBytes bytes) {
  std::uint32_t crc = ~0u;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    const std::uint64_t word = zip_number<std::uint64_t>(bytes, i) ^ crc;
    crc = 0;
    for (std::size_t t = 0; t < 8; ++t) crc ^= kCrcTables[7 - t][(word >> (8 * t)) & 255];
  }
  for (; i < bytes.size(); ++i)
    crc = (crc >> 8) ^ kCrcTables[0][(crc ^ std::to_integer<std::uint32_t>(bytes[i])) & 255];
  return ~crc;
}

/// Where the end record begins; the last possible place counts.
std::optional<std::size_t> find_end(ZipBytes bytes) {
  if (bytes.size() < kEndBytes) return std::nullopt;
  const std::size_t last = bytes.size() - kEndBytes;
  for (std::size_t back = 0; back <= std::min(last, kMaxComment); ++back)
    if (zip_number<std::uint32_t>(bytes, last - back) == kEnd &&
        zip_number<std::uint16_t>(bytes, last - back + 20) == back)
      return last - back;
  return std::nullopt;
}

/// The sizes and the offset of an entry whose 32-bit fields are full are in its zip64 field, in this order.
bool read_zip64(ZipBytes extra, std::uint64_t& size, std::uint64_t& stored, std::uint64_t& header) {
  std::array<std::uint64_t*, 3> wanted{&size, &stored, &header};
  if (std::ranges::none_of(wanted, [](const std::uint64_t* value) { return *value == kIn64; })) return true;
  while (extra.size() >= 4) {
    const std::size_t length = zip_number<std::uint16_t>(extra, 2);
    if (extra.size() < 4 + length) return false;
    ZipBytes field = extra.subspan(4, length);
    if (zip_number<std::uint16_t>(extra, 0) == 1) {
      for (std::uint64_t* value : wanted) {
        if (*value != kIn64) continue;
        if (field.size() < 8) return false;
        *value = zip_number<std::uint64_t>(field, 0);
        field = field.subspan(8);
      }
      return true;
    }
    extra = extra.subspan(4 + length);
  }
  return false;
}

}  // namespace

bool ZipArchive::is_archive(ZipBytes bytes) {
  return bytes.size() >= 4 &&
         (zip_number<std::uint32_t>(bytes, 0) == kLocalHeader || zip_number<std::uint32_t>(bytes, 0) == kEnd);
}

std::string_view ZipArchive::first_name(ZipBytes bytes) {
  if (bytes.size() < kLocalHeaderBytes || zip_number<std::uint32_t>(bytes, 0) != kLocalHeader) return {};
  const std::size_t length = zip_number<std::uint16_t>(bytes, 26);
  if (!within(bytes, kLocalHeaderBytes, length)) return {};
  return {reinterpret_cast<const char*>(bytes.data()) + kLocalHeaderBytes, length};
}

void ZipArchive::damaged(const std::string& what) const {
  throw Error(ErrorKind::kCorrupt, {.path = path_, .what = what, .remedy = "the file is damaged, fetch it again"});
}

ZipArchive::ZipArchive(ZipBytes bytes, std::string path) : bytes_(bytes), path_(std::move(path)) {
  const std::optional<std::size_t> end = find_end(bytes);
  if (!end)
    throw Error(ErrorKind::kCorrupt, {.path = path_,
                                      .what = "is cut short: the archive's directory, at its end, is missing",
                                      .remedy = "its download stopped early: fetch it again"});
  std::uint64_t count = zip_number<std::uint16_t>(bytes, *end + 10);
  std::uint64_t size = zip_number<std::uint32_t>(bytes, *end + 12);
  std::uint64_t offset = zip_number<std::uint32_t>(bytes, *end + 16);
  std::uint64_t behind = *end;  // where the directory must end
  if (*end >= kLocatorBytes && zip_number<std::uint32_t>(bytes, *end - kLocatorBytes) == kEnd64Locator) {
    const auto at = zip_number<std::uint64_t>(bytes, *end - kLocatorBytes + 8);
    if (!within(bytes, at, kEnd64Bytes) || zip_number<std::uint32_t>(bytes, at) != kEnd64)
      damaged("its zip64 record is not where its locator says");
    count = zip_number<std::uint64_t>(bytes, at + 32);
    size = zip_number<std::uint64_t>(bytes, at + 40);
    offset = zip_number<std::uint64_t>(bytes, at + 48);
    behind = at;
  }
  if (!within(bytes, offset, size) || offset + size > behind)
    damaged(text("its directory would lie at bytes ", offset, " to ", offset + size, " of ", bytes.size()));
  add_entries(bytes.subspan(offset, size), count);
}

void ZipArchive::add_entries(ZipBytes directory, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (directory.size() < kCentralHeaderBytes || zip_number<std::uint32_t>(directory, 0) != kCentralHeader)
      damaged(text("entry ", i, " of ", count, " in its directory is damaged"));
    const std::size_t name = zip_number<std::uint16_t>(directory, 28), extra = zip_number<std::uint16_t>(directory, 30),
                      comment = zip_number<std::uint16_t>(directory, 32);
    if (directory.size() < kCentralHeaderBytes + name + extra + comment)
      damaged(text("entry ", i, " of ", count, " in its directory is damaged"));
    const std::string key(reinterpret_cast<const char*>(directory.data()) + kCentralHeaderBytes, name);
    std::uint64_t stored = zip_number<std::uint32_t>(directory, 20), size = zip_number<std::uint32_t>(directory, 24),
                  header = zip_number<std::uint32_t>(directory, 42);
    if (!read_zip64(directory.subspan(kCentralHeaderBytes + name, extra), size, stored, header))
      damaged(text("entry \"", key, "\" has no sizes"));
    const bool encrypted = (zip_number<std::uint16_t>(directory, 8) & 1) != 0;
    const Entry entry{
        header,   stored, size, zip_number<std::uint32_t>(directory, 16), zip_number<std::uint16_t>(directory, 10),
        encrypted};
    if (!entries_.emplace(key, entry).second) damaged(text("has two entries \"", key, '"'));
    directory = directory.subspan(kCentralHeaderBytes + name + extra + comment);
  }
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> out;
  for (const auto& [name, entry] : entries_) out.push_back(name);
  return out;
}

std::string ZipArchive::ending_with(const std::string& suffix) const {
  for (const auto& [name, entry] : entries_)
    if (name.ends_with(suffix)) return name;
  return {};
}

ZipBytes ZipArchive::read(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) damaged(text("has no entry \"", name, '"'));
  const Entry& entry = found->second;
  if (entry.encrypted) fail(path_, ": entry \"", name, "\" is encrypted; save the weights without encryption");
  if (entry.method != 0)
    fail(path_, ": entry \"", name, "\" is compressed (method ", entry.method,
         "), which is not read; save the weights without compression, as torch.save and numpy.savez do");
  if (entry.stored != entry.size)
    damaged(text("entry \"", name, "\" is stored in ", entry.stored, " bytes but has ", entry.size));
  if (!within(bytes_, entry.header, kLocalHeaderBytes) ||
      zip_number<std::uint32_t>(bytes_, entry.header) != kLocalHeader)
    damaged(text("entry \"", name, "\" is not where the directory says"));
  const std::uint64_t data = entry.header + kLocalHeaderBytes + zip_number<std::uint16_t>(bytes_, entry.header + 26) +
                             zip_number<std::uint16_t>(bytes_, entry.header + 28);
  if (!within(bytes_, data, entry.size))
    damaged(text("entry \"", name, "\" would lie at bytes ", data, " to ", data + entry.size, " of ", bytes_.size()));
  const ZipBytes bytes = bytes_.subspan(data, entry.size);
  if (entry.crc != 0 && crc32(bytes) != entry.crc) damaged(text("the checksum of entry \"", name, "\" is wrong"));
  return bytes;
}

}  // namespace vitrine
