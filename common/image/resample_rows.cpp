#include "common/image/resample_rows.h"

#include <algorithm>
#include <cstring>

#include "common/codec/isa.h"
#include "common/codec/target.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vitrine {
namespace {

constexpr std::int32_t kHalf = 1 << (kResamplePrecision - 1);

std::uint8_t rounded_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp((sum + kHalf) >> kResamplePrecision, 0, 255));
}

void across_portable(const std::uint8_t* in, int, const ResampleTaps* taps, const std::int32_t* weights, int longest,
                     int outputs, std::uint8_t* out) {
  for (int o = 0; o < outputs; ++o, out += 3, weights += longest) {
    const std::uint8_t* pixel = in + std::ptrdiff_t{3} * taps[o].first;
    std::int32_t red = 0, green = 0, blue = 0;
    for (int t = 0; t < taps[o].count; ++t, pixel += 3) {
      red += pixel[0] * weights[t];
      green += pixel[1] * weights[t];
      blue += pixel[2] * weights[t];
    }
    out[0] = rounded_byte(red);
    out[1] = rounded_byte(green);
    out[2] = rounded_byte(blue);
  }
}

void down_portable(const std::uint8_t* in, std::ptrdiff_t stride, const std::int32_t* weights, int count,
                   std::size_t bytes, std::uint8_t* out) {
  for (std::size_t x = 0; x < bytes; ++x) {
    std::int32_t sum = 0;
    for (int t = 0; t < count; ++t) sum += in[t * stride + static_cast<std::ptrdiff_t>(x)] * weights[t];
    out[x] = rounded_byte(sum);
  }
}

constexpr ResampleLoops kPortableResample{across_portable, down_portable};

#if defined(__x86_64__)
VITRINE_BEGIN_AVX2

// Three of the four lanes are a pixel's colours; the fourth byte is the next pixel's and is dropped.
inline __m128i four_bytes(const std::uint8_t* pixel) {
  std::int32_t bytes;
  __builtin_memcpy(&bytes, pixel, 4);
  return _mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes));
}

// Of the last pixel of an image, behind which there may be no memory.
inline __m128i three_bytes(const std::uint8_t* pixel) {
  const std::int32_t bytes = pixel[0] | pixel[1] << 8 | pixel[2] << 16;
  return _mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes));
}

void across_avx2(const std::uint8_t* in, int pixels, const ResampleTaps* taps, const std::int32_t* weights, int longest,
                 int outputs, std::uint8_t* out) {
  for (int o = 0; o < outputs; ++o, out += 3, weights += longest) {
    const int first = taps[o].first, count = taps[o].count;
    const int wide = first + count < pixels ? count : count - 1;  // those with a byte behind them
    const std::uint8_t* pixel = in + std::ptrdiff_t{3} * first;
    __m128i even = _mm_set1_epi32(kHalf), odd = _mm_setzero_si128();
    int t = 0;
    for (; t + 2 <= wide; t += 2, pixel += 6) {
      even = _mm_add_epi32(even, _mm_mullo_epi32(four_bytes(pixel), _mm_set1_epi32(weights[t])));
      odd = _mm_add_epi32(odd, _mm_mullo_epi32(four_bytes(pixel + 3), _mm_set1_epi32(weights[t + 1])));
    }
    for (; t < count; ++t, pixel += 3) {
      const __m128i colours = t < wide ? four_bytes(pixel) : three_bytes(pixel);
      even = _mm_add_epi32(even, _mm_mullo_epi32(colours, _mm_set1_epi32(weights[t])));
    }
    const __m128i sum = _mm_srai_epi32(_mm_add_epi32(even, odd), kResamplePrecision);
    const __m128i words = _mm_packus_epi32(sum, sum);  // negative sums become 0
    const std::int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    __builtin_memcpy(out, &bytes, 3);
  }
}

void down_avx2(const std::uint8_t* in, std::ptrdiff_t stride, const std::int32_t* weights, int count, std::size_t bytes,
               std::uint8_t* out) {
  std::size_t x = 0;
  for (; x + 16 <= bytes; x += 16) {
    __m256i low = _mm256_set1_epi32(kHalf), high = low;
    const std::uint8_t* row = in + x;
    for (int t = 0; t < count; ++t, row += stride) {
      const __m256i weight = _mm256_set1_epi32(weights[t]);
      const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row));
      low = _mm256_add_epi32(low, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(values), weight));
      high = _mm256_add_epi32(high, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(values, 8)), weight));
    }
    low = _mm256_srai_epi32(low, kResamplePrecision);
    high = _mm256_srai_epi32(high, kResamplePrecision);
    // Packing works on halves: low's lanes 0-3, high's 0-3, low's 4-7, high's 4-7.
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xD8);
    const __m128i packed = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + x), packed);
  }
  for (; x < bytes; ++x) {
    std::int32_t sum = kHalf;
    for (int t = 0; t < count; ++t) sum += in[t * stride + static_cast<std::ptrdiff_t>(x)] * weights[t];
    sum >>= kResamplePrecision;
    out[x] = static_cast<std::uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
  }
}

VITRINE_END_TARGET

constexpr ResampleLoops kAvx2Resample{across_avx2, down_avx2};
#endif

}  // namespace

const ResampleLoops& resample_loops() {
#if defined(__x86_64__)
  if (isa() != Isa::kPortable) return kAvx2Resample;
#endif
  return kPortableResample;
}

}  // namespace vitrine
