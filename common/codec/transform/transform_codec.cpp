#include "common/codec/transform/transform_codec.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/codec/fail_decoding.h"
#include "common/codec/isa.h"
#include "common/codec/transform/encoder/encode.h"
#include "common/codec/transform/items.h"
#include "common/codec/transform/payload.h"

namespace vitrine {

struct TransformCodec::Order {
  transform::Slots slots;
};

TransformCodec::TransformCodec(std::shared_ptr<const FeatureBasis> basis, double max_error)
    : basis_(std::move(basis)),
      order_(std::make_unique<const Order>(Order{transform::Slots(basis_->height, basis_->width)})),
      max_error_(max_error) {
  isa();  // rejects an invalid VITRINE_ISA here instead of at the first group
  if (!(max_error > 0 && max_error < 1))
    fail("max_error = ", max_error,
         " is not allowed for the transform encoding; expected a share between 0 and 1, for instance 0.01");
}

TransformCodec::~TransformCodec() = default;

std::vector<ArrayLayout> TransformCodec::layout() const {
  return {{"payload", "|u1", {}, true}};
}

std::uint64_t TransformCodec::max_bytes(std::size_t, std::uint32_t views) const {
  return transform::max_payload_bytes(std::uint64_t{basis_->values()} * views);
}

std::vector<Array> TransformCodec::encode(std::span<const float> values, std::uint32_t views) const {
  std::vector<float> coefficients(values.size());
  return encode(values, views, coefficients);
}

std::vector<Array> TransformCodec::encode(std::span<const float> values, std::uint32_t views,
                                          std::span<float> coefficients) const {
  if (values.size() != basis_->values() * views || coefficients.size() != values.size())
    throw std::logic_error("TransformCodec::encode: values of another shape");
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      fail("view ", i / basis_->values(), " has a value that is ", std::isnan(values[i]) ? "NaN" : "infinite",
           "; expected finite numbers; check the teacher's weights, or run it in a precision with a larger range");
  transform::to_coefficients(*basis_, values, views, coefficients);
  std::vector<std::byte> payload = encode_coefficients(coefficients, views);
  const auto bytes = static_cast<std::uint32_t>(payload.size());
  return {{"payload", "|u1", {1, bytes}, std::move(payload)}};
}

std::vector<std::byte> TransformCodec::encode_coefficients(std::span<const float> coefficients,
                                                           std::uint32_t views) const {
  if (coefficients.size() != basis_->values() * views)
    throw std::logic_error("TransformCodec::encode_coefficients: coefficients of another shape");
  static thread_local Buffer memory;
  const std::span<float> items = memory.numbers<float>(coefficients.size());
  const double energy = transform::to_items(*basis_, order_->slots, coefficients, views, items);
  const std::vector<std::uint8_t> payload =
      transform::encode_items(*basis_, order_->slots, items, energy, views, max_error_);
  const auto* first = reinterpret_cast<const std::byte*>(payload.data());
  return {first, first + payload.size()};
}

void TransformCodec::decode_coefficients(std::span<const std::byte> payload, std::uint32_t views,
                                         std::span<float> out) const {
  if (out.size() != basis_->values() * views) throw std::logic_error("TransformCodec: output of another shape");
  static thread_local transform::ItemDecoder decoder;
  decoder.begin(*basis_, order_->slots, payload, views);
  for (std::uint32_t channel = 0; channel < basis_->channels; ++channel)
    transform::from_items(*basis_, decoder.next(), channel, views, out);
  decoder.finish();
}

void TransformCodec::decode_items(std::span<const std::byte> payload, std::uint32_t views, std::span<float> out) const {
  if (out.size() != basis_->values() * views) throw std::logic_error("TransformCodec: output of another shape");
  static thread_local transform::ItemDecoder decoder;
  decoder.begin(*basis_, order_->slots, payload, views);
  const std::size_t map = std::size_t{basis_->positions()} * views;
  for (std::uint32_t channel = 0; channel < basis_->channels; ++channel)
    std::ranges::copy(decoder.next().values, out.begin() + static_cast<std::ptrdiff_t>(channel * map));
  decoder.finish();
}

void TransformCodec::decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
                            std::span<float> out) const {
  if (arrays.size() != 1) fail_decoding(text(arrays.size(), " arrays given; expected 1"));
  static thread_local std::vector<float> coefficients;
  if (coefficients.size() < out.size()) coefficients.resize(out.size());
  decode_coefficients(arrays[0], views, {coefficients.data(), out.size()});
  transform::from_coefficients(*basis_, {coefficients.data(), out.size()}, views, out);
}

void transform_coefficients(const FeatureBasis& basis, std::span<const float> values, std::uint32_t views,
                            std::span<float> out) {
  transform::to_coefficients(basis, values, views, out);
}

}  // namespace vitrine
