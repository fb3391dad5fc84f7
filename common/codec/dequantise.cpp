#include "common/codec/dequantise.h"

#include <cstdint>
#include <cstring>

#include "common/codec/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#if !defined(__clang__)  // false positives in the intrinsics header (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#endif

namespace vitrine {
namespace {

float scale_of(std::span<const std::byte> scale_bytes, std::size_t row) {
  float scale;
  std::memcpy(&scale, scale_bytes.data() + row * sizeof scale, sizeof scale);
  return scale;
}

void squares_loop(const std::uint8_t* q, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const float root = static_cast<float>(q[i]) / 255.0f;
    out[i] = root * root;
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void row_avx2(const std::int8_t* q, float scale, std::size_t count, float* out) {
  const __m256 factor = _mm256_set1_ps(scale);
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(q + i));
    _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), factor));
  }
  for (; i < count; ++i) out[i] = static_cast<float>(q[i]) * scale;
}

__attribute__((target("avx512f,avx512bw,avx512vl"))) void row_avx512(const std::int8_t* q, float scale,
                                                                     std::size_t count, float* out) {
  const __m512 factor = _mm512_set1_ps(scale);
  for (std::size_t i = 0; i < count; i += 16) {
    const __mmask16 there =
        count - i < 16 ? static_cast<__mmask16>((1u << (count - i)) - 1) : static_cast<__mmask16>(0xFFFF);
    const __m512i wide = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(there, q + i));
    _mm512_mask_storeu_ps(out + i, there, _mm512_mul_ps(_mm512_cvtepi32_ps(wide), factor));
  }
}

// Outputs larger than L2 use non-temporal stores: they will not be read soon, and streaming avoids fetching the lines
// and evicting others.
constexpr std::size_t kPastCaches = std::size_t{2} << 20;

// Rows of at least 16 values. Stores whole cache lines after the first line boundary; a line may span the end of a row
// and the start of the next.
__attribute__((target("avx512f,avx512bw,avx512vl"))) void rows_past_caches(const std::int8_t* q,
                                                                           std::span<const std::byte> scale_bytes,
                                                                           std::size_t rows, std::size_t per_row,
                                                                           float* out) {
  const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(out) / sizeof(float) % 16;
  std::size_t i = misaligned == 0 ? 0 : 16 - misaligned;
  row_avx512(q, scale_of(scale_bytes, 0), i, out);
  const auto values = [q](std::size_t at) __attribute__((target("avx512f,avx512bw,avx512vl"), always_inline)) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q + at))));
  };
  for (std::size_t r = 0; r < rows; ++r) {
    const float scale = scale_of(scale_bytes, r);
    const __m512 factor = _mm512_set1_ps(scale);
    const std::size_t end = (r + 1) * per_row;
    for (; i + 16 <= end; i += 16) _mm512_stream_ps(out + i, _mm512_mul_ps(values(i), factor));
    if (i >= end) continue;
    if (r + 1 == rows) {
      row_avx512(q + i, scale, end - i, out + i);
    } else {
      const auto next = static_cast<__mmask16>(0xFFFF << (end - i));
      const __m512 both = _mm512_mask_mov_ps(factor, next, _mm512_set1_ps(scale_of(scale_bytes, r + 1)));
      _mm512_stream_ps(out + i, _mm512_mul_ps(values(i), both));
      i += 16;
    }
  }
  _mm_sfence();  // orders the streaming stores before any later store
}

__attribute__((target("avx2"))) std::size_t squares_avx2(const std::uint8_t* q, std::size_t count, float* out) {
  const __m256 whole = _mm256_set1_ps(255.0f);
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(q + i));
    const __m256 root = _mm256_div_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), whole);
    _mm256_storeu_ps(out + i, _mm256_mul_ps(root, root));
  }
  return i;
}
#endif

}  // namespace

void dequantise_rows_portable(std::span<const std::int8_t> q, std::span<const std::byte> scale_bytes,
                              std::span<float> out) {
  const std::size_t rows = scale_bytes.size() / sizeof(float), per_row = rows == 0 ? 0 : out.size() / rows;
  for (std::size_t r = 0; r < rows; ++r) {
    const float scale = scale_of(scale_bytes, r);
    for (std::size_t i = r * per_row; i < (r + 1) * per_row; ++i) out[i] = static_cast<float>(q[i]) * scale;
  }
}

void dequantise_rows(std::span<const std::int8_t> q, std::span<const std::byte> scale_bytes, std::span<float> out) {
#if defined(__x86_64__)
  if (isa() >= Isa::kAvx2) {
    const std::size_t rows = scale_bytes.size() / sizeof(float), per_row = rows == 0 ? 0 : out.size() / rows;
    if (isa() == Isa::kAvx512 && per_row >= 16 && out.size_bytes() >= kPastCaches)
      return rows_past_caches(q.data(), scale_bytes, rows, per_row, out.data());
    const auto row = isa() == Isa::kAvx512 ? row_avx512 : row_avx2;
    for (std::size_t r = 0; r < rows; ++r)
      row(q.data() + r * per_row, scale_of(scale_bytes, r), per_row, out.data() + r * per_row);
    return;
  }
#endif
  dequantise_rows_portable(q, scale_bytes, out);
}

void dequantise_squares(std::span<const std::uint8_t> q, std::span<float> out) {
  std::size_t done = 0;
#if defined(__x86_64__)
  if (isa() >= Isa::kAvx2) done = squares_avx2(q.data(), q.size(), out.data());
#endif
  squares_loop(q.data() + done, q.size() - done, out.data() + done);
}

}  // namespace vitrine
