// A track: one kind of target from one teacher over some passes. Its settings stand in track.json in its directory.
#ifndef VITRINE_COMMON_CACHE_TRACK_H_
#define VITRINE_COMMON_CACHE_TRACK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/codec/codec.h"
#include "common/codec/frame.h"

namespace vitrine {

struct TrackInfo {
  std::string teacher;               ///< a name of letters, digits, '_', '-' and '.'
  std::string weights_sha256;        ///< 64 hexadecimal digits
  std::string kind;                  ///< "logits", "features" or "attention"
  int block = -1;                    ///< the teacher's block, from 0; -1 for logits
  bool normalised = true;            ///< features: after the teacher's last LayerNorm
  std::vector<std::uint32_t> shape;  ///< of one view: [K], [C, H, W], [heads, H, W]
  CodecSettings codec;
  Compression compression;
  std::string plan_hash;
  std::map<std::string, std::string> provenance;  ///< free words for people: versions, precision, command

  /// "logits", "features.11", "attention.11".
  std::string name() const;
  /// Below the cache: "TEACHER.xxxxxxxx/NAME", with the first digits of the weights' hash.
  std::string directory() const;
  /// The text of track.json: equal tracks give equal text.
  std::string json() const;
  /// Throws Error, beginning with `where`, for a text that is no track's or a field out of its range.
  static TrackInfo from_json(const std::string& json, const std::string& where);
  /// Throws Error, beginning with `where`, when a field is out of its range.
  void check(const std::string& where) const;
  /// Values of one view.
  std::size_t view_values() const;

  bool operator==(const TrackInfo&) const = default;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_TRACK_H_
