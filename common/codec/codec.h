// One interface over all encodings: a track's settings become a codec, and a codec turns a group's floats
// into the arrays of a shard and back. FORMAT.md in common/cache has the arithmetic.
#ifndef VITRINE_COMMON_CODEC_CODEC_H_
#define VITRINE_COMMON_CODEC_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/codec/encoding.h"

namespace vitrine {

/// What decides a track's bytes: it stands in track.json, and equal settings give equal bytes.
struct CodecSettings {
  Encoding encoding = Encoding::kFp16;
  double max_error = 0;              ///< transform: share of the centred energy, kept in every group; uniform and topk:
                                     ///< largest |error| of a value (topk: 0 for fp16)
  std::uint32_t kept = 0;            ///< topk: values kept of each view
  std::vector<double> temperatures;  ///< topk: at which the tail's log-sum-exp is kept
  std::string basis;                 ///< transform: SHA-256 of the basis; the file basis.h5 lies beside track.json

  bool operator==(const CodecSettings&) const = default;
  /// Throws Error, beginning with `where`, when a setting is out of its range, or does not belong to the encoding or to
  /// views of `shape`.
  void check(const std::vector<std::uint32_t>& shape, const std::string& where) const;
};

/// Immutable; any thread, several at once.
class Codec {
 public:
  virtual ~Codec() = default;

  /// The arrays of a group, in order. Always the same.
  virtual std::vector<ArrayLayout> layout() const = 0;
  /// Bytes of array `i` of layout() that no group of `views` views exceeds: who reads a file refuses longer ones before
  /// making room for them.
  virtual std::uint64_t max_bytes(std::size_t i, std::uint32_t views) const = 0;
  /// `values`: [views, shape...], one group. Throws Error that names the view for what the encoding cannot hold.
  virtual std::vector<Array> encode(std::span<const float> values, std::uint32_t views) const = 0;
  /// The inverse. `arrays`: encode()'s bytes in the same order; those of a whole_group array may have zeros after them.
  /// `out`: [views, shape...]. Throws Error for bytes that encode() cannot have made. Allocates nothing once a thread
  /// has decoded a group of this size.
  virtual void decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
                      std::span<float> out) const = 0;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_CODEC_H_
