// CRC-32C (Castagnoli; RFC 3720, appendix B.4): the checksum of TFRecord files.
#ifndef VITRINE_COMMON_BASE_CRC32C_H_
#define VITRINE_COMMON_BASE_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace vitrine {

/// Polynomial 0x1EDC6F41, reflected, initial value and final XOR 0xFFFFFFFF. Thread-safe.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_CRC32C_H_
