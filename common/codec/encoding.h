// How a target's floats are stored. The first four encodings are pure functions from floats to arrays of plain numbers
// and back and need no settings; codec.h has one interface for all. FORMAT.md in common/cache repeats the arithmetic
// for readers in other languages.
#ifndef VITRINE_COMMON_CODEC_ENCODING_H_
#define VITRINE_COMMON_CODEC_ENCODING_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrine {

/// Numbers once given stay. For a view's values x:
///   fp32   as they are
///   fp16   IEEE 754 binary16, round to nearest, ties to even; |error| ≤ max(|x| 2^-11, 2^-25)
///   int8   q = round(x / scale), scale = max|x| / 127 over a row; |error| ≤ scale / 2. A row is [view, first axis]
///   when
///          a view has more than one axis ([C, H, W]: a channel of a view), else the whole view
///   sqrt8  q = round(255 sqrt x), for probabilities; |sqrt error| ≤ 0.5 / 255
///   uniform    a multiple of one step, |error| ≤ a bound that the user names: uniform.h
///   topk       logits: the largest, and the mass of the others: topk.h
///   transform  feature maps: coefficients in a calibrated basis, the error of each group bounded: transform/
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
/// Throws Error, beginning with `where`, for any other word.
Encoding encoding_from_name(const std::string& name, const std::string& where);

/// What one stored array is: its name in the file, numpy's name of its type, the shape of one view.
struct ArrayLayout {
  std::string name;
  std::string dtype;                      ///< "<f4", "<f2", "|i1", "|u1"
  std::vector<std::uint32_t> view_shape;  ///< without the axis of views; empty for a whole group
  /// One row a group of "|u1" bytes whose number varies: in a shard every row is padded with zeros to the longest.
  bool whole_group = false;
  /// Of one view, when the array is not one of whole groups.
  std::size_t view_bytes() const;
};

/// Values of a view of `shape`.
std::size_t view_values(const std::vector<std::uint32_t>& shape);

/// The arrays that one of the first four encodings makes of views of `shape`, in order.
std::vector<ArrayLayout> array_layout(Encoding encoding, const std::vector<std::uint32_t>& shape);

struct Array {
  std::string name;
  std::string dtype;
  std::vector<std::uint32_t> shape;  ///< [views, ...]; [1, bytes] for a whole group
  std::vector<std::byte> bytes;      ///< little-endian, C order
};

[[noreturn]] void fail_not_finite(float value, std::size_t view);

/// `values`: [views, shape...]. Throws Error that names the view for NaN, infinity, a value beyond fp16's range, and
/// with sqrt8 one outside [0, 1] (up to 1.001 is taken for 1).
std::vector<Array> encode(Encoding encoding, std::span<const float> values, std::uint32_t views,
                          const std::vector<std::uint32_t>& shape);

/// The inverse. `arrays`: the bytes of encode()'s arrays in the same order. `out`: [views, shape...]. Throws Error when
/// a size does not fit. Allocates nothing; any thread.
void decode(Encoding encoding, std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
            const std::vector<std::uint32_t>& shape, std::span<float> out);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_ENCODING_H_
