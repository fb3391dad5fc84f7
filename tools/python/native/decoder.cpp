#pragma GCC visibility push(default)  // everything else is hidden
#include "tools/python/native/decoder.h"
#pragma GCC visibility pop

#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "common/codec/encoding.h"
#include "common/codec/transform/transform_codec.h"
#include "common/codec/uniform.h"
#include "tools/python/native/handle.h"

namespace {

template <class Number>
std::vector<Number> copied(const Number* first, std::size_t count) {
  return first == nullptr ? std::vector<Number>{} : std::vector<Number>(first, first + count);
}

}  // namespace

std::uint32_t vitrine_native_version() {
  return VITRINE_NATIVE_VERSION;
}

vitrine_decoder* vitrine_decoder_new(std::uint32_t channels, std::uint32_t height, std::uint32_t width,
                                     const float* mean, const float* vectors, const float* eigenvalues,
                                     const float* rows, const float* columns, const std::int16_t* scale,
                                     const std::uint16_t* expected, const std::uint8_t* levels,
                                     std::uint16_t confidence, char* message, std::size_t message_capacity) try {
  const auto basis = std::make_shared<vitrine::FeatureBasis>();
  basis->channels = channels, basis->height = height, basis->width = width;
  const std::size_t c = channels, h = height, w = width;
  basis->mean = copied(mean, c * h * w);
  basis->vectors = copied(vectors, c * c);
  basis->eigenvalues = copied(eigenvalues, c);
  basis->rows = copied(rows, h * h), basis->columns = copied(columns, w * w);
  basis->scale = copied(scale, c * h * w);
  basis->expected = copied(expected, vitrine::FeatureBasis::kLevels);
  basis->levels = copied(levels, 40 * 15);
  basis->confidence = confidence;
  basis->check("basis");
  constexpr double kAnyError = 0.5;  // not used by the decoder
  return new vitrine_decoder{basis, vitrine::TransformCodec(basis, kAnyError)};
} catch (const std::exception& problem) {
  vitrine_tell(problem, message, message_capacity);
  return nullptr;
}

void vitrine_decoder_free(vitrine_decoder* decoder) {
  delete decoder;
}

int vitrine_decode(const vitrine_decoder* decoder, const std::uint8_t* payload, std::size_t bytes, std::uint32_t views,
                   int what, float* out, char* message, std::size_t message_capacity) try {
  const std::span<const std::byte> array{reinterpret_cast<const std::byte*>(payload), bytes};
  const std::span<float> values{out, decoder->codec.basis().values() * views};
  switch (what) {
    case VITRINE_FEATURES:
      decoder->codec.decode(std::span(&array, 1), views, values);
      return 0;
    case VITRINE_COEFFICIENTS:
      decoder->codec.decode_coefficients(array, views, values);
      return 0;
    case VITRINE_ITEMS:
      decoder->codec.decode_items(array, views, values);
      return 0;
    default:
      std::snprintf(message, message_capacity, "vitrine_decode: what = %d is unknown; expected 0, 1 or 2", what);
      return 1;
  }
} catch (const std::exception& problem) {
  vitrine_tell(problem, message, message_capacity);
  return 1;
}

int vitrine_decode_arrays(std::uint32_t encoding, const std::uint32_t* shape, std::size_t axes, double max_error,
                          std::uint32_t views, const std::uint8_t* const* arrays, const std::size_t* bytes,
                          std::size_t count, float* out, char* message, std::size_t message_capacity) try {
  const std::vector<std::uint32_t> view(shape, shape + axes);
  const std::size_t per_view = vitrine::view_values(view);
  std::vector<std::span<const std::byte>> parts;
  for (std::size_t i = 0; i < count; ++i) parts.emplace_back(reinterpret_cast<const std::byte*>(arrays[i]), bytes[i]);
  const std::span<float> values{out, per_view * views};
  switch (const auto kind = static_cast<vitrine::Encoding>(encoding)) {
    case vitrine::Encoding::kFp32:
    case vitrine::Encoding::kFp16:
    case vitrine::Encoding::kInt8:
    case vitrine::Encoding::kSqrt8:
      vitrine::decode(kind, parts, views, view, values);
      return 0;
    case vitrine::Encoding::kUniform:
      vitrine::decode_uniform(parts, views, per_view, 2 * max_error, values);
      return 0;
    case vitrine::Encoding::kTopk:
    case vitrine::Encoding::kTransform:
      break;
  }
  std::snprintf(message, message_capacity, "vitrine_decode_arrays: the encoding %u has no decoder here", encoding);
  return 1;
} catch (const std::exception& problem) {
  vitrine_tell(problem, message, message_capacity);
  return 1;
}
