// The numbers of the table in a container's user block (FORMAT.md), shared by its writer and its reader.
#ifndef VITRINE_COMMON_CACHE_TABLE_H_
#define VITRINE_COMMON_CACHE_TABLE_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "common/base/format_version.h"

namespace vitrine::table {

static_assert(std::endian::native == std::endian::little, "the format is little-endian, and so is this code");

inline constexpr std::string_view kMagic{"VITRINE\0", 8};
inline constexpr std::uint16_t kMajor = kFormatMajor, kMinor = kFormatMinor;
/// The file may hold arrays of whole groups and types <i2 and <u2, as encodings after the first four make them.
inline constexpr std::uint32_t kFlagEncodings = 1;
/// Recipes of which some are marked as left out: their targets are blank and must not be learnt from.
inline constexpr std::uint32_t kFlagLeftOut = 2;
/// Flags that this program understands.
inline constexpr std::uint32_t kKnownRequiredFlags = kFlagEncodings | kFlagLeftOut;
inline constexpr std::size_t kHeaderBytes = 64, kDatasetBytes = 136, kChunkBytes = 24, kChecksumBytes = 8;
inline constexpr std::size_t kNameBytes = 32, kDtypeBytes = 16, kMaxRank = 8;
inline constexpr std::uint64_t kMinUserBlock = 512;  ///< HDF5's

// Offsets in the header.
inline constexpr std::size_t kVersionAt = 8, kRequiredAt = 12, kIgnorableAt = 16, kDatasetsAt = 20, kTableBytesAt = 24,
                             kUserBlockAt = 32, kFileBytesAt = 40, kChunksAt = 48, kJsonBytesAt = 56;

template <class Number>
void append(std::string& out, Number value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
template <class Number>
Number at(std::string_view bytes, std::size_t offset) {
  Number value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace vitrine::table

#endif  // VITRINE_COMMON_CACHE_TABLE_H_
