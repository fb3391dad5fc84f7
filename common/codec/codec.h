// The interface of all encodings: a codec, made from a track's settings, converts a group's floats into the arrays of a
// shard and back. FORMAT.md in common/cache gives the arithmetic.
#ifndef VITRINE_COMMON_CODEC_CODEC_H_
#define VITRINE_COMMON_CODEC_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/codec/encoding.h"

namespace vitrine {

/// Everything that determines a track's bytes. Stored in track.json; equal settings give equal bytes.
struct CodecSettings {
  Encoding encoding = Encoding::kFp16;
  double max_error = 0;    ///< transform: share of the centred energy, holds for every group; uniform and topk: largest
                           ///< |error| of a value (topk: 0 for fp16)
  std::uint32_t kept = 0;  ///< topk: values kept per view
  std::vector<double> temperatures;  ///< topk: temperatures at which the tail's log-sum-exp is stored
  std::string basis;                 ///< transform: SHA-256 of the basis, the file basis.h5 beside track.json

  bool operator==(const CodecSettings&) const = default;
  /// Throws Error, beginning with `where`, when a setting is out of range or does not apply to the encoding or to views
  /// of `shape`.
  void check(const std::vector<std::uint32_t>& shape, const std::string& where) const;
};

/// Immutable; safe for concurrent use.
class Codec {
 public:
  virtual ~Codec() = default;

  /// The arrays of a group, in order. Constant per codec.
  virtual std::vector<ArrayLayout> layout() const = 0;
  /// Upper bound of the bytes of array `i` of layout() in a group of `views` views. Readers reject longer arrays before
  /// allocating memory.
  virtual std::uint64_t max_bytes(std::size_t i, std::uint32_t views) const = 0;
  /// `values`: [views, shape...], one group. Throws Error that names the view when the encoding cannot represent a
  /// value.
  virtual std::vector<Array> encode(std::span<const float> values, std::uint32_t views) const = 0;
  /// The inverse. `arrays`: encode()'s bytes in the same order; a whole_group array may be padded with zeros. `out`:
  /// [views, shape...]. Throws Error for bytes that encode() cannot produce. Allocates nothing once the thread has
  /// decoded a group of this size.
  virtual void decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
                      std::span<float> out) const = 0;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_CODEC_H_
