#include "common/codec/uniform.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "common/base/error.h"
#include "common/codec/frame.h"

namespace vitrine {
namespace {

constexpr double kLimit = 1 << 30;
constexpr int kTrialLevel = 1;  // of zstd, to compare the encoder's choices

std::uint32_t zigzag(std::int32_t x) {
  return (static_cast<std::uint32_t>(x) << 1) ^ static_cast<std::uint32_t>(x >> 31);
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
  out.low.resize(UniformBytes::kHeaderBytes + (q.size() * shift + 7) / 8);
  out.low[0] = static_cast<std::byte>(shift);
  out.low[1] = static_cast<std::byte>(width);
  out.low[2] = static_cast<std::byte>(with_mean);
  std::memcpy(out.low.data() + 4, &views, sizeof views);
  std::uint64_t pending = 0;
  unsigned bits = 0;
  std::size_t byte = UniformBytes::kHeaderBytes;
  for (const std::int32_t value : q) {
    pending |= (static_cast<std::uint64_t>(value) & ((1ull << shift) - 1)) << bits;
    for (bits += shift; bits >= 8; bits -= 8, pending >>= 8) out.low[byte++] = static_cast<std::byte>(pending);
  }
  if (bits > 0) out.low[byte] = static_cast<std::byte>(pending);
  out.cost = compress_frame(out.high, kTrialLevel).size() + out.low.size();
  return out;
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
  return i == 0 ? UniformBytes::kHeaderBytes + (count * UniformBytes::kMaxShift + 7) / 8
                : UniformBytes::kMaxWidth * (count + per_view_);
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
    if (shift > 0) shifts.push_back(std::min(static_cast<unsigned>(shift), UniformBytes::kMaxShift));
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
  decode_uniform(arrays, views, per_view_, step_, out);
}

}  // namespace vitrine
