// Apart from the encoder, which needs zstd: the Python package's library has only this side.
#include <algorithm>
#include <cstring>

#include "common/base/error.h"
#include "common/codec/fail_decoding.h"
#include "common/codec/uniform.h"

namespace vitrine {
namespace {

// Unsigned, as a damaged file may contain any bits.
std::uint32_t unzigzag(std::uint32_t z) {
  return (z >> 1) ^ (0u - (z & 1u));
}

// Loads 8 bytes at `at`; bytes past the end are zero.
std::uint64_t load(std::span<const std::byte> bytes, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, std::min<std::size_t>(sizeof word, bytes.size() - at));
  return word;
}

}  // namespace

void decode_uniform(std::span<const std::span<const std::byte>> arrays, std::uint32_t views, std::size_t per_view,
                    double step, std::span<float> out) {
  const std::size_t count = per_view * views;
  if (out.size() != count) fail("decoding: ", out.size(), " values requested; expected ", count);
  if (arrays.size() != 2) fail_decoding(text(arrays.size(), " arrays given; expected 2"));
  const std::span<const std::byte> low = arrays[0], high = arrays[1];
  if (low.size() < UniformBytes::kHeaderBytes)
    fail_decoding(text("array low has ", low.size(), " bytes; expected at least 8"));
  const auto shift = std::to_integer<unsigned>(low[0]), width = std::to_integer<unsigned>(low[1]),
             with_mean = std::to_integer<unsigned>(low[2]);
  std::uint32_t stored_views;
  std::memcpy(&stored_views, low.data() + 4, sizeof stored_views);
  if (shift > UniformBytes::kMaxShift || width < 1 || width > UniformBytes::kMaxWidth || with_mean > 1 ||
      stored_views != views)
    fail_decoding(text("array low begins with impossible numbers (shift ", shift, ", width ", width, ", means ",
                       with_mean, ", views ", stored_views, "; expected ", views, " views)"));
  const std::size_t plane = count + with_mean * per_view;
  if (low.size() < UniformBytes::kHeaderBytes + (count * shift + 7) / 8 || high.size() < plane * width)
    fail_decoding(text("arrays low and high have ", low.size(), " and ", high.size(), " bytes; expected at least ",
                       UniformBytes::kHeaderBytes + (count * shift + 7) / 8, " and ", plane * width));
  const std::uint32_t mask = (1u << shift) - 1;
  const std::span<const std::byte> bits = low.subspan(UniformBytes::kHeaderBytes);
  const auto rest = [&](std::size_t i) {
    std::uint32_t z = std::to_integer<std::uint32_t>(high[i]);
    for (unsigned p = 1; p < width; ++p) z |= std::to_integer<std::uint32_t>(high[p * plane + i]) << (8 * p);
    return unzigzag(z);
  };
  const auto value = [&](std::uint32_t h, std::size_t i, std::uint64_t word) {
    const std::uint32_t l = static_cast<std::uint32_t>(word >> (i * shift % 8)) & mask;
    return static_cast<float>(static_cast<double>(static_cast<std::int32_t>(h << shift | l)) * step);
  };
  // Values before this index can be read as whole words.
  const std::size_t safe = shift == 0 ? count : bits.size() < 8 ? 0 : std::min(count, (bits.size() - 8) * 8 / shift);
  const std::size_t first = with_mean * per_view;
  for (std::size_t view = 0, i = 0; view < views; ++view)
    for (std::size_t c = 0; c < per_view; ++c, ++i) {
      const std::uint32_t h = rest(first + i) + (with_mean != 0 ? rest(c) : 0);
      std::uint64_t word = 0;
      if (shift != 0) {
        if (i < safe)
          std::memcpy(&word, bits.data() + i * shift / 8, sizeof word);
        else
          word = load(bits, i * shift / 8);
      }
      out[i] = value(h, i, word);
    }
}

}  // namespace vitrine
