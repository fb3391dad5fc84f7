#include "common/models/vit/attention_avx512.h"

#include "common/codec/target.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

namespace vitrine {
namespace {

constexpr std::ptrdiff_t kLanes = 16;
constexpr std::ptrdiff_t kTileRows = kLeastAttentionTokens;  // with 4 vectors a row, sums stay in registers
constexpr std::ptrdiff_t kTileVectors = 4;
// Tiles that share a panel of keys or values while it is in the first cache.
constexpr std::ptrdiff_t kBlockTiles = 4;
constexpr std::ptrdiff_t kPanel = kTileVectors * kLanes;  // keys

std::ptrdiff_t whole_vectors(std::ptrdiff_t n) {
  return (n + kLanes - 1) / kLanes * kLanes;
}

struct Scratch {
  float* keys;    // panels of kPanel keys, the last one narrower: [width, keys of the panel]
  float* scores;  // [kBlockTiles · kTileRows, row]
  float* sums;    // [kBlockTiles · kTileRows, whole_vectors(width)]
  std::ptrdiff_t row;
};

Scratch divide(float* memory, std::ptrdiff_t tokens, std::ptrdiff_t width) {
  const std::ptrdiff_t row = whole_vectors(tokens);
  float* const scores = memory + row * width;
  return {memory, scores, scores + kBlockTiles * kTileRows * row, row};
}

}  // namespace

std::ptrdiff_t attention_scratch(std::ptrdiff_t tokens, std::ptrdiff_t width) {
  return whole_vectors(tokens) * width + kBlockTiles * kTileRows * (whole_vectors(tokens) + whole_vectors(width));
}

// GCC's own intrinsics start from undefined vectors (bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
VITRINE_BEGIN_AVX512
namespace avx512_attention {
namespace {

// The lanes below `count`.
inline __mmask16 lanes_below(std::ptrdiff_t count) {
  return count >= kLanes ? static_cast<__mmask16>(0xFFFF) : static_cast<__mmask16>((1u << count) - 1);
}

// kTileRows rows of a times b [depth, kVectors vectors], added to c if `adds`. The last vector of b's rows has only the
// lanes of `last`.
template <int kVectors, bool adds>
inline void multiply_tile(const float* a, std::ptrdiff_t a_stride, const float* b, std::ptrdiff_t b_stride,
                          std::ptrdiff_t depth, __mmask16 last, float* c, std::ptrdiff_t c_stride) {
  __m512 sum[kTileRows][kVectors];
#pragma GCC unroll 6
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 4
    for (int s = 0; s < kVectors; ++s)
      sum[r][s] = adds ? _mm512_loadu_ps(c + r * c_stride + s * kLanes) : _mm512_setzero_ps();
  for (std::ptrdiff_t d = 0; d < depth; ++d) {
    __m512 row[kVectors];
#pragma GCC unroll 4
    for (int s = 0; s < kVectors; ++s)
      row[s] = s == kVectors - 1 ? _mm512_maskz_loadu_ps(last, b + d * b_stride + s * kLanes)
                                 : _mm512_loadu_ps(b + d * b_stride + s * kLanes);
#pragma GCC unroll 6
    for (int r = 0; r < kTileRows; ++r) {
      const __m512 value = _mm512_set1_ps(a[r * a_stride + d]);
#pragma GCC unroll 4
      for (int s = 0; s < kVectors; ++s) sum[r][s] = _mm512_fmadd_ps(value, row[s], sum[r][s]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 4
    for (int s = 0; s < kVectors; ++s) _mm512_storeu_ps(c + r * c_stride + s * kLanes, sum[r][s]);
}

template <bool adds>
inline void multiply(std::ptrdiff_t vectors, const float* a, std::ptrdiff_t a_stride, const float* b,
                     std::ptrdiff_t b_stride, std::ptrdiff_t depth, __mmask16 last, float* c, std::ptrdiff_t c_stride) {
  switch (vectors) {
    case 1:
      return multiply_tile<1, adds>(a, a_stride, b, b_stride, depth, last, c, c_stride);
    case 2:
      return multiply_tile<2, adds>(a, a_stride, b, b_stride, depth, last, c, c_stride);
    case 3:
      return multiply_tile<3, adds>(a, a_stride, b, b_stride, depth, last, c, c_stride);
    default:
      return multiply_tile<4, adds>(a, a_stride, b, b_stride, depth, last, c, c_stride);
  }
}

// exp(x) for x <= 0, to 2 units in the last place; below -104 as at -104. A NaN stays one. Polynomial: Cephes' expf.
inline __m512 exp_negative(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-104.0f), x);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return _mm512_scalef_ps(p, n);
}

// Replaces scores by exp(score - largest) and returns 1 / their sum.
inline float exponentials(float* scores, const float* bias, std::ptrdiff_t tokens) {
  __m512 most = _mm512_set1_ps(-__builtin_inff());
  for (std::ptrdiff_t at = 0; at < tokens; at += kLanes) {
    const __mmask16 mask = lanes_below(tokens - at);
    __m512 x = _mm512_loadu_ps(scores + at);
    if (bias != nullptr) {
      x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, bias + at));
      _mm512_storeu_ps(scores + at, x);
    }
    most = _mm512_mask_max_ps(most, mask, most, x);
  }
  const __m512 largest = _mm512_set1_ps(_mm512_reduce_max_ps(most));
  __m512 sum = _mm512_setzero_ps();
  for (std::ptrdiff_t at = 0; at < tokens; at += kLanes) {
    const __m512 e = exp_negative(_mm512_sub_ps(_mm512_loadu_ps(scores + at), largest));
    _mm512_storeu_ps(scores + at, e);
    sum = _mm512_mask_add_ps(sum, lanes_below(tokens - at), sum, e);
  }
  return 1.0f / _mm512_reduce_add_ps(sum);
}

// Keys as [width, panel] each, zeros behind the last one.
void pack_keys(HeadRows k, std::ptrdiff_t tokens, std::ptrdiff_t width, float* packed) {
  for (std::ptrdiff_t first = 0; first < tokens; first += kPanel) {
    const std::ptrdiff_t panel = std::min(kPanel, whole_vectors(tokens - first));
    for (std::ptrdiff_t j = 0; j < panel; ++j) {
      const bool is_key = first + j < tokens;
      const float* const key = k.data + (is_key ? first + j : 0) * k.stride;
      for (std::ptrdiff_t d = 0; d < width; ++d) packed[first * width + d * panel + j] = is_key ? key[d] : 0.0f;
    }
  }
}

}  // namespace

void attend(HeadRows q, HeadRows k, HeadRows v, const float* bias, std::ptrdiff_t tokens, std::ptrdiff_t width,
            float* out, std::ptrdiff_t out_stride, float* memory) {
  const Scratch scratch = divide(memory, tokens, width);
  const std::ptrdiff_t wide = whole_vectors(width), tiles = (tokens + kTileRows - 1) / kTileRows;
  // The last tile overlaps its predecessor and computes the same values again.
  const auto first_row = [&](std::ptrdiff_t tile) { return std::min(tile * kTileRows, tokens - kTileRows); };
  pack_keys(k, tokens, width, scratch.keys);
  for (std::ptrdiff_t block = 0; block < tiles; block += kBlockTiles) {
    const std::ptrdiff_t count = std::min(kBlockTiles, tiles - block);
    for (std::ptrdiff_t key = 0; key < tokens; key += kPanel) {
      const std::ptrdiff_t panel = std::min(kPanel, scratch.row - key);
      for (std::ptrdiff_t t = 0; t < count; ++t)
        multiply<false>(panel / kLanes, q.data + first_row(block + t) * q.stride, q.stride, scratch.keys + key * width,
                        panel, width, lanes_below(kLanes), scratch.scores + t * kTileRows * scratch.row + key,
                        scratch.row);
    }
    float scale[kBlockTiles * kTileRows];
    for (std::ptrdiff_t r = 0; r < count * kTileRows; ++r) {
      const std::ptrdiff_t token = first_row(block + r / kTileRows) + r % kTileRows;
      scale[r] = exponentials(scratch.scores + r * scratch.row, bias == nullptr ? bias : bias + token * tokens, tokens);
    }
    for (std::ptrdiff_t key = 0; key < tokens; key += kPanel) {
      const std::ptrdiff_t depth = std::min(kPanel, tokens - key);
      for (std::ptrdiff_t t = 0; t < count; ++t)
        for (std::ptrdiff_t d = 0; d < width; d += kPanel) {
          const std::ptrdiff_t part = std::min(kPanel, width - d), vectors = (part + kLanes - 1) / kLanes;
          const float* const weights = scratch.scores + t * kTileRows * scratch.row + key;
          float* const sums = scratch.sums + t * kTileRows * wide + d;
          const __mmask16 last = lanes_below(part - (vectors - 1) * kLanes);
          const float* const values = v.data + key * v.stride + d;
          key == 0 ? multiply<false>(vectors, weights, scratch.row, values, v.stride, depth, last, sums, wide)
                   : multiply<true>(vectors, weights, scratch.row, values, v.stride, depth, last, sums, wide);
        }
    }
    for (std::ptrdiff_t r = 0; r < count * kTileRows; ++r) {
      float* const row = out + (first_row(block + r / kTileRows) + r % kTileRows) * out_stride;
      const __m512 factor = _mm512_set1_ps(scale[r]);
      for (std::ptrdiff_t d = 0; d < width; d += kLanes)
        _mm512_mask_storeu_ps(row + d, lanes_below(width - d),
                              _mm512_mul_ps(factor, _mm512_loadu_ps(scratch.sums + r * wide + d)));
    }
  }
}

}  // namespace avx512_attention
VITRINE_END_TARGET
#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif

void attention_avx512(HeadRows q, HeadRows k, HeadRows v, const float* bias, std::ptrdiff_t tokens,
                      std::ptrdiff_t width, float* out, std::ptrdiff_t out_stride, float* scratch) {
  avx512_attention::attend(q, k, v, bias, tokens, width, out, out_stride, scratch);
}

}  // namespace vitrine

#endif
