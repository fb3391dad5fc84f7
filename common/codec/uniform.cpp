#include "common/codec/uniform.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "common/base/error.h"
#include "common/codec/fail_decoding.h"
#include "common/codec/frame.h"

namespace vitrine {
namespace {

constexpr double kLimit = 1 << 30;
constexpr std::size_t kHeaderBytes = 8;
constexpr unsigned kMaxShift = 24, kMaxWidth = 4;
constexpr int kTrialLevel = 1;  // of zstd, to compare the encoder's choices

std::uint32_t zigzag(std::int32_t x) {
  return (static_cast<std::uint32_t>(x) << 1) ^ static_cast<std::uint32_t>(x >> 31);
}
// Unsigned, as a damaged file may contain any bits.
std::uint32_t unzigzag(std::uint32_t z) {
  return (z >> 1) ^ (0u - (z & 1u));
}

// The rounded mean over views of each value of a view.
std::vector<std::int32_t> means_of(const std::vector<std::int32_t>& q, std::size_t per_view, std::uint32_t views) {
  std::vector<std::int64_t> sums(per_view, 0);
  for (std::size_t i = 0; i < q.size(); ++i) sums[i % per_view] += q[i];
  std::vector<std::int32_t> means(per_view);
  for (std::size_t c = 0; c < per_view; ++c)
    means[c] = static_cast<std::int32_t>(std::llround(static_cast<double>(sums[c]) / views));
  return means;
}

struct Trial {
  std::vector<std::byte> low, high;
  std::size_t cost = 0;
};

Trial split(const std::vector<std::int32_t>& q, const std::vector<std::int32_t>& means, std::uint32_t views,
            unsigned shift, bool with_mean) {
  const std::size_t per_view = means.size(), rows = views + (with_mean ? 1u : 0u);
  std::vector<std::uint32_t> z(rows * per_view);
  std::uint32_t largest = 0;
  std::size_t at = 0;
  const auto put = [&](std::int32_t h) {
    z[at] = zigzag(h);
    largest = std::max(largest, z[at++]);
  };
  if (with_mean)
    for (const std::int32_t mean : means) put(mean >> shift);
  for (std::size_t i = 0; i < q.size(); ++i) put((q[i] >> shift) - (with_mean ? means[i % per_view] >> shift : 0));
  const unsigned width = std::max(1u, (static_cast<unsigned>(std::bit_width(largest)) + 7) / 8);

  Trial out;
  out.high.resize(width * z.size());
  for (unsigned plane = 0; plane < width; ++plane)
    for (std::size_t i = 0; i < z.size(); ++i)
      out.high[plane * z.size() + i] = static_cast<std::byte>(z[i] >> (8 * plane));
  out.low.resize(kHeaderBytes + (q.size() * shift + 7) / 8);
  out.low[0] = static_cast<std::byte>(shift);
  out.low[1] = static_cast<std::byte>(width);
  out.low[2] = static_cast<std::byte>(with_mean);
  std::memcpy(out.low.data() + 4, &views, sizeof views);
  std::uint64_t pending = 0;
  unsigned bits = 0;
  std::size_t byte = kHeaderBytes;
  for (const std::int32_t value : q) {
    pending |= (static_cast<std::uint64_t>(value) & ((1ull << shift) - 1)) << bits;
    for (bits += shift; bits >= 8; bits -= 8, pending >>= 8) out.low[byte++] = static_cast<std::byte>(pending);
  }
  if (bits > 0) out.low[byte] = static_cast<std::byte>(pending);
  out.cost = compress_frame(out.high, kTrialLevel).size() + out.low.size();
  return out;
}

// Loads 8 bytes at `at`; bytes past the end are zero.
std::uint64_t load(std::span<const std::byte> bytes, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, std::min<std::size_t>(sizeof word, bytes.size() - at));
  return word;
}

}  // namespace

void quantise_uniform(std::span<const float> values, std::size_t view, double step, double limit,
                      std::span<std::int32_t> out) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double q = std::nearbyint(static_cast<double>(values[i]) / step);
    if (!(std::fabs(q) < limit)) {  // NaN too
      if (!std::isfinite(values[i])) fail_not_finite(values[i], view);
      fail("view ", view, " has the value ", values[i], ", too large for a step of ", step,
           "; allow a larger error, or store this target as fp32");
    }
    out[i] = static_cast<std::int32_t>(q);
  }
}

UniformCodec::UniformCodec(double max_error, const std::vector<std::uint32_t>& shape)
    : step_(2 * max_error), per_view_(view_values(shape)) {}

std::vector<ArrayLayout> UniformCodec::layout() const {
  return {{"low", "|u1", {}, true}, {"high", "|u1", {}, true}};
}

std::uint64_t UniformCodec::max_bytes(std::size_t i, std::uint32_t views) const {
  const std::uint64_t count = std::uint64_t{per_view_} * views;
  return i == 0 ? kHeaderBytes + (count * kMaxShift + 7) / 8 : kMaxWidth * (count + per_view_);
}

std::vector<Array> UniformCodec::encode(std::span<const float> values, std::uint32_t views) const {
  if (values.size() != per_view_ * views || values.empty())
    throw std::logic_error(text("encode: ", values.size(), " values for ", views, " views of ", per_view_));
  std::vector<std::int32_t> q(values.size());
  for (std::uint32_t view = 0; view < views; ++view)
    quantise_uniform(values.subspan(view * per_view_, per_view_), view, step_, kLimit,
                     std::span(q).subspan(view * per_view_, per_view_));
  const std::vector<std::int32_t> means = means_of(q, per_view_, views);
  std::uint64_t spread = 0;
  for (std::size_t i = 0; i < q.size(); ++i)
    spread += static_cast<std::uint64_t>(std::abs(std::int64_t{q[i]} - means[i % per_view_]));
  // If the high part spans about 4 to 16 values, Huffman coding is near the entropy.
  const int around = std::bit_width(spread / q.size()) - 3;
  Trial best;
  bool first = true;
  std::vector<unsigned> shifts{0};
  for (int shift = around - 1; shift <= around + 1; ++shift)
    if (shift > 0) shifts.push_back(std::min(static_cast<unsigned>(shift), kMaxShift));
  for (const unsigned shift : shifts)
    for (const bool with_mean : {true, false}) {
      Trial trial = split(q, means, views, shift, with_mean);
      if (!first && trial.cost >= best.cost) continue;
      best = std::move(trial);
      first = false;
    }
  const auto low = static_cast<std::uint32_t>(best.low.size()), high = static_cast<std::uint32_t>(best.high.size());
  std::vector<Array> out;
  out.push_back({"low", "|u1", {1, low}, std::move(best.low)});
  out.push_back({"high", "|u1", {1, high}, std::move(best.high)});
  return out;
}

void UniformCodec::decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
                          std::span<float> out) const {
  const std::size_t count = per_view_ * views;
  if (out.size() != count) fail("decoding: ", out.size(), " values requested; expected ", count);
  if (arrays.size() != 2) fail_decoding(text(arrays.size(), " arrays given; expected 2"));
  const std::span<const std::byte> low = arrays[0], high = arrays[1];
  if (low.size() < kHeaderBytes) fail_decoding(text("array low has ", low.size(), " bytes; expected at least 8"));
  const auto shift = std::to_integer<unsigned>(low[0]), width = std::to_integer<unsigned>(low[1]),
             with_mean = std::to_integer<unsigned>(low[2]);
  std::uint32_t stored_views;
  std::memcpy(&stored_views, low.data() + 4, sizeof stored_views);
  if (shift > kMaxShift || width < 1 || width > kMaxWidth || with_mean > 1 || stored_views != views)
    fail_decoding(text("array low begins with impossible numbers (shift ", shift, ", width ", width, ", means ",
                       with_mean, ", views ", stored_views, "; expected ", views, " views)"));
  const std::size_t plane = count + with_mean * per_view_;
  if (low.size() < kHeaderBytes + (count * shift + 7) / 8 || high.size() < plane * width)
    fail_decoding(text("arrays low and high have ", low.size(), " and ", high.size(), " bytes; expected at least ",
                       kHeaderBytes + (count * shift + 7) / 8, " and ", plane * width));
  const std::uint32_t mask = (1u << shift) - 1;
  const std::span<const std::byte> bits = low.subspan(kHeaderBytes);
  const auto rest = [&](std::size_t i) {
    std::uint32_t z = std::to_integer<std::uint32_t>(high[i]);
    for (unsigned p = 1; p < width; ++p) z |= std::to_integer<std::uint32_t>(high[p * plane + i]) << (8 * p);
    return unzigzag(z);
  };
  const auto value = [&](std::uint32_t h, std::size_t i, std::uint64_t word) {
    const std::uint32_t l = static_cast<std::uint32_t>(word >> (i * shift % 8)) & mask;
    return static_cast<float>(static_cast<double>(static_cast<std::int32_t>(h << shift | l)) * step_);
  };
  // Values before this index can be read as whole words.
  const std::size_t safe = shift == 0 ? count : bits.size() < 8 ? 0 : std::min(count, (bits.size() - 8) * 8 / shift);
  const std::size_t first = with_mean * per_view_;
  for (std::size_t view = 0, i = 0; view < views; ++view)
    for (std::size_t c = 0; c < per_view_; ++c, ++i) {
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
