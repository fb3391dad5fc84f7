#include "common/codec/encoding.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <stdexcept>

#include "common/base/error.h"
#include "common/codec/dequantise.h"
#include "common/codec/fail_decoding.h"
#include "common/codec/half.h"

namespace vitrine {
namespace {

constexpr Encoding kAllEncodings[] = {Encoding::kFp32,    Encoding::kFp16, Encoding::kInt8,     Encoding::kSqrt8,
                                      Encoding::kUniform, Encoding::kTopk, Encoding::kTransform};
constexpr float kAlmostOne = 1.001f;  // tolerance for rounding in a softmax

std::size_t item_size(const std::string& dtype) {
  return static_cast<std::size_t>(dtype.back() - '0');
}

[[noreturn]] void fail_not_plain(Encoding encoding) {
  throw std::logic_error(text("not a plain encoding: ", static_cast<int>(encoding)));
}

// Bytes of a value in the first array of a plain encoding.
std::size_t value_size(Encoding encoding) {
  switch (encoding) {
    case Encoding::kFp32:
      return 4;
    case Encoding::kFp16:
      return 2;
    case Encoding::kInt8:
    case Encoding::kSqrt8:
      return 1;
    case Encoding::kUniform:
    case Encoding::kTopk:
    case Encoding::kTransform:
      break;
  }
  fail_not_plain(encoding);
}

// Number of int8 rows per view: its channels, or 1.
std::size_t rows_of(const std::vector<std::uint32_t>& shape) {
  return shape.size() > 1 ? shape[0] : 1;
}

template <class Number>
std::span<Number> as(std::vector<std::byte>& bytes) {
  return {reinterpret_cast<Number*>(bytes.data()), bytes.size() / sizeof(Number)};
}

void check_finite(std::span<const float> values, std::uint32_t view) {
  for (const float x : values)
    if (!std::isfinite(x)) fail_not_finite(x, view);
}

void encode_half(std::span<const float> values, std::span<std::uint16_t> out, std::uint32_t view) {
  to_half(values, out);
  for (std::size_t i = 0; i < out.size(); ++i)
    if ((out[i] & 0x7FFFu) >= 0x7C00u)
      fail("view ", view, " has the value ", values[i],
           ", beyond the range of fp16 (65504); store this target as fp32 or int8");
}

float row_scale(std::span<const float> row) {
  float largest = 0;
  for (const float x : row) largest = std::max(largest, std::fabs(x));
  float scale = largest / 127.0f;
  // Near the largest float, 127 · scale may round to infinity.
  if (std::isinf(scale * 127.0f)) scale = std::nextafterf(scale, 0.0f);
  return scale;
}

void encode_int8(std::span<const float> row, float scale, std::int8_t* out) {
  if (scale == 0) {
    std::fill_n(out, row.size(), std::int8_t{0});
    return;
  }
  for (std::size_t i = 0; i < row.size(); ++i)
    out[i] = static_cast<std::int8_t>(std::clamp(std::nearbyintf(row[i] / scale), -127.0f, 127.0f));
}

void encode_sqrt8(std::span<const float> values, std::uint8_t* out, std::uint32_t view) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!(values[i] >= 0 && values[i] <= kAlmostOne))
      fail("view ", view, " has the value ", values[i],
           ", but sqrt8 stores probabilities from 0 to 1; choose another encoding");
    out[i] = static_cast<std::uint8_t>(std::nearbyintf(255.0f * std::sqrt(std::min(values[i], 1.0f))));
  }
}

}  // namespace

std::size_t view_values(const std::vector<std::uint32_t>& shape) {
  std::size_t values = 1;
  for (const std::uint32_t axis : shape) values *= axis;
  return values;
}

void fail_not_finite(float value, std::size_t view) {
  fail("view ", view, " has a value that is ", std::isnan(value) ? "NaN" : "infinite",
       "; expected finite numbers; check the teacher's weights, or run it in a precision with a larger range");
}

const char* encoding_name(Encoding encoding) {
  switch (encoding) {
    case Encoding::kFp32:
      return "fp32";
    case Encoding::kFp16:
      return "fp16";
    case Encoding::kInt8:
      return "int8";
    case Encoding::kSqrt8:
      return "sqrt8";
    case Encoding::kUniform:
      return "uniform";
    case Encoding::kTopk:
      return "topk";
    case Encoding::kTransform:
      return "transform";
  }
  throw std::logic_error(text("no encoding has the number ", static_cast<int>(encoding)));
}

Encoding encoding_from_name(const std::string& name, const std::string& where) {
  std::string names;
  for (const Encoding encoding : kAllEncodings) {
    if (name == encoding_name(encoding)) return encoding;
    names += (names.empty()                             ? ""
              : encoding == *std::rbegin(kAllEncodings) ? " and "
                                                        : ", ") +
             std::string(encoding_name(encoding));
  }
  throw Error(ErrorKind::kInput,
              {.path = where, .what = text("unknown encoding \"", name, "\""), .remedy = "expected one of " + names});
}

bool is_plain(Encoding encoding) {
  switch (encoding) {
    case Encoding::kFp32:
    case Encoding::kFp16:
    case Encoding::kInt8:
    case Encoding::kSqrt8:
      return true;
    case Encoding::kUniform:
    case Encoding::kTopk:
    case Encoding::kTransform:
      break;
  }
  return false;
}

std::size_t ArrayLayout::view_bytes() const {
  return view_values(view_shape) * item_size(dtype);
}

std::vector<ArrayLayout> array_layout(Encoding encoding, const std::vector<std::uint32_t>& shape) {
  switch (encoding) {
    case Encoding::kFp32:
      return {{"values", "<f4", shape}};
    case Encoding::kFp16:
      return {{"values", "<f2", shape}};
    case Encoding::kInt8: {
      const std::vector<std::uint32_t> rows =
          shape.size() > 1 ? std::vector<std::uint32_t>{shape[0]} : std::vector<std::uint32_t>{};
      return {{"q", "|i1", shape}, {"scale", "<f4", rows}};
    }
    case Encoding::kSqrt8:
      return {{"q", "|u1", shape}};
    case Encoding::kUniform:
    case Encoding::kTopk:
    case Encoding::kTransform:
      break;
  }
  fail_not_plain(encoding);
}

std::vector<Array> encode(Encoding encoding, std::span<const float> values, std::uint32_t views,
                          const std::vector<std::uint32_t>& shape) {
  const std::size_t per_view = view_values(shape);
  if (values.size() != per_view * views)
    throw std::logic_error(text("encode: ", values.size(), " values for ", views, " views of ", per_view));
  std::vector<Array> arrays;
  for (const ArrayLayout& layout : array_layout(encoding, shape)) {
    Array array{layout.name, layout.dtype, {views}, std::vector<std::byte>(layout.view_bytes() * views)};
    array.shape.insert(array.shape.end(), layout.view_shape.begin(), layout.view_shape.end());
    arrays.push_back(std::move(array));
  }
  const std::size_t rows = rows_of(shape);
  for (std::uint32_t view = 0; view < views; ++view) {
    const std::span<const float> own = values.subspan(view * per_view, per_view);
    check_finite(own, view);
    switch (encoding) {
      case Encoding::kFp32:
        std::memcpy(as<float>(arrays[0].bytes).data() + view * per_view, own.data(), own.size_bytes());
        break;
      case Encoding::kFp16:
        encode_half(own, as<std::uint16_t>(arrays[0].bytes).subspan(view * per_view, per_view), view);
        break;
      case Encoding::kInt8:
        for (std::size_t r = 0; r < rows; ++r) {
          const std::span<const float> row = own.subspan(r * (per_view / rows), per_view / rows);
          const float scale = row_scale(row);
          as<float>(arrays[1].bytes)[view * rows + r] = scale;
          encode_int8(row, scale, as<std::int8_t>(arrays[0].bytes).data() + view * per_view + r * row.size());
        }
        break;
      case Encoding::kSqrt8:
        encode_sqrt8(own, as<std::uint8_t>(arrays[0].bytes).data() + view * per_view, view);
        break;
      case Encoding::kUniform:
      case Encoding::kTopk:
      case Encoding::kTransform:
        fail_not_plain(encoding);
    }
  }
  return arrays;
}

void decode(Encoding encoding, std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
            const std::vector<std::uint32_t>& shape, std::span<float> out) {
  const std::size_t per_view = view_values(shape), item = value_size(encoding);
  const bool has_scales = encoding == Encoding::kInt8;
  const std::size_t scales = has_scales ? rows_of(shape) * sizeof(float) : 0, count = has_scales ? 2 : 1;
  if (out.size() != per_view * views) fail("decoding: ", out.size(), " values requested; expected ", per_view * views);
  if (arrays.size() != count) fail_decoding(text(arrays.size(), " arrays given; expected ", count));
  for (std::size_t i = 0; i < count; ++i)
    if (const std::size_t expected = (i == 0 ? per_view * item : scales) * views; arrays[i].size() != expected)
      fail_decoding(text("array ", i, " has ", arrays[i].size(), " bytes; expected ", expected));
  const std::byte* first = arrays[0].data();
  switch (encoding) {
    case Encoding::kFp32:
      std::memcpy(out.data(), first, arrays[0].size());
      break;
    case Encoding::kFp16:
      from_half(arrays[0], out);
      break;
    case Encoding::kInt8:
      dequantise_rows({reinterpret_cast<const std::int8_t*>(first), out.size()}, arrays[1], out);
      break;
    case Encoding::kSqrt8:
      dequantise_squares({reinterpret_cast<const std::uint8_t*>(first), out.size()}, out);
      break;
    case Encoding::kUniform:
    case Encoding::kTopk:
    case Encoding::kTransform:
      fail_not_plain(encoding);
  }
}

}  // namespace vitrine
