// Stored integers to floats: AVX-512 or AVX2 where available, else plain loops with identical results. For fp16 see
// half.h.
#ifndef VITRINE_COMMON_CODEC_DEQUANTISE_H_
#define VITRINE_COMMON_CODEC_DEQUANTISE_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace vitrine {

/// out[r, i] = q[r, i] * scale[r]. `scale_bytes`: one float32 per row, any alignment. Does not throw. Requires q.size()
/// == out.size(), a multiple of the number of rows. With AVX-512, outputs of 2 MiB and more are written with
/// non-temporal stores, which are complete when the call returns.
void dequantise_rows(std::span<const std::int8_t> q, std::span<const std::byte> scale_bytes, std::span<float> out);
void dequantise_rows_portable(std::span<const std::int8_t> q, std::span<const std::byte> scale_bytes,
                              std::span<float> out);

/// out[i] = (q[i] / 255)^2. q.size() == out.size().
void dequantise_squares(std::span<const std::uint8_t> q, std::span<float> out);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_DEQUANTISE_H_
