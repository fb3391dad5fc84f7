// Encodings of a target's floats. The plain ones (fp32, fp16, int8, sqrt8) are pure functions from floats to arrays of
// numbers and back, without settings, and are here; codec.h is the interface of all. FORMAT.md in common/cache
// specifies the arithmetic for readers in other languages.
#ifndef VITRINE_COMMON_CODEC_ENCODING_H_
#define VITRINE_COMMON_CODEC_ENCODING_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrine {

// clang-format off
/// The numbers are part of the file format and never change. For a view's values x:
///   fp32       unchanged
///   fp16       IEEE 754 binary16, round to nearest, ties to even; |error| ≤ max(|x| 2^-11, 2^-25)
///   int8       q = round(x / scale), scale = max|x| / 127 over a row; |error| ≤ scale / 2. A row is [view, first axis]
///              if a view has more than one axis ([C, H, W]: a channel of a view), else the whole view
///   sqrt8      q = round(255 sqrt x), for probabilities; |sqrt error| ≤ 0.5 / 255
///   uniform    multiples of one step, |error| ≤ a bound that the user sets: uniform.h
///   topk       logits: the largest values and the mass of the rest: topk.h
///   transform  feature maps: coefficients in a calibrated basis, error bounded per group: transform/
// clang-format on
enum class Encoding : std::uint8_t {
  kFp32 = 0,
  kFp16 = 1,
  kInt8 = 2,
  kSqrt8 = 3,
  kUniform = 4,
  kTopk = 5,
  kTransform = 6
};

/// "fp32", "fp16", "int8", "sqrt8", "uniform", "topk", "transform".
const char* encoding_name(Encoding encoding);
/// Throws Error, beginning with `where`, for any other name.
Encoding encoding_from_name(const std::string& name, const std::string& where);
/// Whether it is fp32, fp16, int8 or sqrt8: no settings, one row per view, and shards that every reader of the format
/// knows. Shards of the others carry a required flag (FORMAT.md).
bool is_plain(Encoding encoding);

/// One stored array: its name in the file, its NumPy dtype, the shape of one view.
struct ArrayLayout {
  std::string name;
  std::string dtype;                      ///< "<f4", "<f2", "|i1", "|u1"
  std::vector<std::uint32_t> view_shape;  ///< without the axis of views; empty for a whole group
  /// One row of "|u1" bytes per group, of variable length: a shard pads every row with zeros to the longest.
  bool whole_group = false;
  /// Bytes of one view. Requires !whole_group.
  std::size_t view_bytes() const;
};

/// Values of a view of `shape`.
std::size_t view_values(const std::vector<std::uint32_t>& shape);

/// The arrays of a plain encoding for views of `shape`, in order. This function and the two below throw
/// std::logic_error for an encoding that is not plain.
std::vector<ArrayLayout> array_layout(Encoding encoding, const std::vector<std::uint32_t>& shape);

struct Array {
  std::string name;
  std::string dtype;
  std::vector<std::uint32_t> shape;  ///< [views, ...]; [1, bytes] for a whole group
  std::vector<std::byte> bytes;      ///< little-endian, C order
};

[[noreturn]] void fail_not_finite(float value, std::size_t view);

/// Of a plain encoding. `values`: [views, shape...]. Throws Error that names the view for NaN, infinity, a value beyond
/// fp16's range, and for sqrt8 a value outside [0, 1] (values up to 1.001 count as 1).
std::vector<Array> encode(Encoding encoding, std::span<const float> values, std::uint32_t views,
                          const std::vector<std::uint32_t>& shape);

/// The inverse. `arrays`: the bytes of encode()'s arrays in the same order. `out`: [views, shape...]. Throws Error when
/// a size does not fit. Allocates nothing; any thread.
void decode(Encoding encoding, std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
            const std::vector<std::uint32_t>& shape, std::span<float> out);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_ENCODING_H_
