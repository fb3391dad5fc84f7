#include "common/codec/topk.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "common/base/error.h"
#include "common/codec/fail_decoding.h"
#include "common/codec/half.h"
#include "common/codec/uniform.h"

namespace vitrine {
namespace {

constexpr double kInt16Limit = 32768;

const char* index_dtype(std::size_t bytes) {
  return bytes == 1 ? "|u1" : bytes == 2 ? "<u2" : "<u4";
}

// log Σ exp(x_i / temperature) over the given classes, summed in the given order.
float log_sum_exp(std::span<const float> row, std::span<const std::uint32_t> classes, double temperature) {
  double largest = row[classes.front()];
  for (const std::uint32_t c : classes) largest = std::max(largest, static_cast<double>(row[c]));
  double sum = 0;
  for (const std::uint32_t c : classes) sum += std::exp((row[c] - largest) / temperature);
  return static_cast<float>(largest / temperature + std::log(sum));
}

template <class Number>
void put(std::vector<std::byte>& bytes, std::size_t at, Number value) {
  std::memcpy(bytes.data() + at * sizeof value, &value, sizeof value);
}

template <class Number>
Number get(std::span<const std::byte> bytes, std::size_t at) {
  Number value;
  std::memcpy(&value, bytes.data() + at * sizeof value, sizeof value);
  return value;
}

}  // namespace

TopkCodec::TopkCodec(const CodecSettings& settings, const std::vector<std::uint32_t>& shape)
    : classes_(shape.at(0)),
      kept_(settings.kept),
      step_(2 * settings.max_error),
      temperatures_(settings.temperatures),
      index_bytes_(classes_ <= 1u << 8    ? 1
                   : classes_ <= 1u << 16 ? 2
                                          : 4) {}

std::vector<ArrayLayout> TopkCodec::layout() const {
  return {{"value", step_ == 0 ? "<f2" : "<i2", {kept_}},
          {"index", index_dtype(index_bytes_), {kept_}},
          {"tail", "<f4", {static_cast<std::uint32_t>(temperatures_.size())}}};
}

std::uint64_t TopkCodec::max_bytes(std::size_t i, std::uint32_t views) const {
  return std::uint64_t{layout().at(i).view_bytes()} * views;
}

std::vector<Array> TopkCodec::encode(std::span<const float> values, std::uint32_t views) const {
  if (values.size() != std::size_t{classes_} * views)
    throw std::logic_error(text("encode: ", values.size(), " values for ", views, " views of ", classes_));
  std::vector<Array> out;
  for (const ArrayLayout& layout : this->layout())
    out.push_back({layout.name,
                   layout.dtype,
                   {views, layout.view_shape[0]},
                   std::vector<std::byte>(layout.view_bytes() * views)});
  std::vector<std::uint32_t> order(classes_);
  std::vector<float> largest(kept_);
  std::vector<std::uint16_t> halves(kept_);
  std::vector<std::int32_t> steps(kept_);
  for (std::uint32_t view = 0; view < views; ++view) {
    const std::span<const float> row = values.subspan(std::size_t{view} * classes_, classes_);
    for (const float x : row)
      if (!std::isfinite(x)) fail_not_finite(x, view);
    std::iota(order.begin(), order.end(), 0u);
    const auto before = [&row](std::uint32_t a, std::uint32_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; };
    std::nth_element(order.begin(), order.begin() + kept_ - 1, order.end(), before);
    std::sort(order.begin(), order.begin() + kept_, before);
    // The tail is summed in class order, as nth_element's order is unspecified.
    std::sort(order.begin() + kept_, order.end());
    for (std::uint32_t k = 0; k < kept_; ++k) largest[k] = row[order[k]];
    if (step_ == 0) {
      to_half(largest, halves);
    } else {
      quantise_uniform(largest, view, step_, kInt16Limit, steps);
    }
    for (std::uint32_t k = 0; k < kept_; ++k) {
      const std::size_t at = std::size_t{view} * kept_ + k;
      if (step_ == 0) {
        if ((halves[k] & 0x7FFFu) >= 0x7C00u)
          fail("view ", view, " has the value ", largest[k],
               ", beyond the range of fp16 (65504); store this target as fp32");
        put(out[0].bytes, at, halves[k]);
      } else {
        put(out[0].bytes, at, static_cast<std::int16_t>(steps[k]));
      }
      if (index_bytes_ == 1) put(out[1].bytes, at, static_cast<std::uint8_t>(order[k]));
      if (index_bytes_ == 2) put(out[1].bytes, at, static_cast<std::uint16_t>(order[k]));
      if (index_bytes_ == 4) put(out[1].bytes, at, order[k]);
    }
    const std::span<const std::uint32_t> others = std::span(order).subspan(kept_);
    for (std::size_t t = 0; t < temperatures_.size(); ++t)
      put(out[2].bytes, view * temperatures_.size() + t, log_sum_exp(row, others, temperatures_[t]));
  }
  return out;
}

void TopkCodec::decode_kept(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
                            std::span<float> values, std::span<std::uint32_t> indices, std::span<float> tail) const {
  const std::size_t count = std::size_t{views} * kept_, tails = views * temperatures_.size();
  if (values.size() != count || indices.size() != count || tail.size() != tails)
    fail("decoding: ", values.size(), " values, ", indices.size(), " classes and ", tail.size(),
         " tails requested; expected ", count, ", ", count, " and ", tails);
  if (arrays.size() != 3) fail_decoding(text(arrays.size(), " arrays given; expected 3"));
  const std::size_t sizes[] = {count * 2, count * index_bytes_, tails * sizeof(float)};
  for (std::size_t i = 0; i < 3; ++i)
    if (arrays[i].size() != sizes[i])
      fail_decoding(text("array ", i, " has ", arrays[i].size(), " bytes; expected ", sizes[i]));
  if (step_ == 0) {
    from_half(arrays[0], values);
  } else {
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(get<std::int16_t>(arrays[0], i) * step_);
  }
  for (std::size_t i = 0; i < count; ++i) {
    indices[i] = index_bytes_ == 1   ? get<std::uint8_t>(arrays[1], i)
                 : index_bytes_ == 2 ? get<std::uint16_t>(arrays[1], i)
                                     : get<std::uint32_t>(arrays[1], i);
    if (indices[i] >= classes_) fail_decoding(text("view ", i / kept_, " names class ", indices[i], " of ", classes_));
  }
  std::memcpy(tail.data(), arrays[2].data(), arrays[2].size());
}

void TopkCodec::decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
                       std::span<float> out) const {
  if (out.size() != std::size_t{classes_} * views)
    fail("decoding: ", out.size(), " values requested; expected ", std::size_t{classes_} * views);
  thread_local std::vector<float> values, tail;
  thread_local std::vector<std::uint32_t> indices;
  values.resize(std::size_t{views} * kept_), indices.resize(values.size()), tail.resize(views * temperatures_.size());
  decode_kept(arrays, views, values, indices, tail);
  const double others = std::log(static_cast<double>(classes_ - kept_));
  for (std::uint32_t view = 0; view < views; ++view) {
    const std::span<float> row = out.subspan(std::size_t{view} * classes_, classes_);
    std::ranges::fill(row, static_cast<float>(temperatures_[0] * (tail[view * temperatures_.size()] - others)));
    for (std::size_t i = std::size_t{view} * kept_; i < (std::size_t{view} + 1) * kept_; ++i)
      row[indices[i]] = values[i];
  }
}

}  // namespace vitrine
