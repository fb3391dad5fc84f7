#include "common/codec/half.h"

#include <bit>
#include <cstddef>
#include <cstring>

#include "common/codec/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vitrine {

std::uint16_t to_half_portable(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<std::uint16_t>(sign | 0x7E00u | (magnitude >> 13 & 0x3FFu));
  // 65520, halfway between the largest half and the next power of two, rounds to infinity.
  if (magnitude >= 0x477FF000u) return static_cast<std::uint16_t>(sign | 0x7C00u);
  const auto exponent = static_cast<int>(magnitude >> 23);
  if (exponent < 102) return sign;  // below 2^-25, half of the smallest subnormal
  std::uint32_t whole, rest, half;
  if (exponent >= 113) {  // normal: drops 13 bits of the mantissa; a carry propagates into the exponent correctly
    const std::uint32_t rebased = magnitude - (112u << 23);
    whole = rebased >> 13, rest = rebased & 0x1FFFu, half = 0x1000u;
  } else {  // subnormal: a multiple of 2^-24
    const std::uint32_t mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
    const int shift = 126 - exponent;  // 14 to 24
    whole = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), half = 1u << (shift - 1);
  }
  if (rest > half || (rest == half && (whole & 1))) ++whole;
  return static_cast<std::uint16_t>(sign | whole);
}

float from_half_portable(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1Fu, mantissa = half & 0x3FFu;
  if (exponent == 31) {
    const std::uint32_t quiet = mantissa == 0 ? 0 : 0x400000u;
    return std::bit_cast<float>(sign | 0x7F800000u | quiet | mantissa << 13);
  }
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

namespace {

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) std::size_t to_half_f16c(std::span<const float> values, std::uint16_t* halves) {
  std::size_t i = 0;
  for (; i + 8 <= values.size(); i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(values.data() + i), _MM_FROUND_TO_NEAREST_INT));
  return i;
}

__attribute__((target("avx,f16c"))) std::size_t from_half_f16c(const std::byte* halves, std::span<float> values) {
  std::size_t i = 0;
  for (; i + 8 <= values.size(); i += 8)
    _mm256_storeu_ps(values.data() + i,
                     _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + 2 * i))));
  return i;
}
#endif

}  // namespace

void to_half(std::span<const float> values, std::span<std::uint16_t> halves) {
  std::size_t i = 0;
#if defined(__x86_64__)
  if (isa() >= Isa::kAvx2) i = to_half_f16c(values, halves.data());
#endif
  for (; i < values.size(); ++i) halves[i] = to_half_portable(values[i]);
}

void from_half(std::span<const std::byte> halves, std::span<float> values) {
  std::size_t i = 0;
#if defined(__x86_64__)
  if (isa() >= Isa::kAvx2) i = from_half_f16c(halves.data(), values);
#endif
  for (; i < values.size(); ++i) {
    std::uint16_t half;
    std::memcpy(&half, halves.data() + 2 * i, sizeof half);
    values[i] = from_half_portable(half);
  }
}

}  // namespace vitrine
