// A track: one kind of target from one teacher over some passes. Its settings stand in track.json in its directory.
#ifndef VITRINE_COMMON_CACHE_TRACK_H_
#define VITRINE_COMMON_CACHE_TRACK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/cache/provenance.h"
#include "common/codec/codec.h"
#include "common/codec/frame.h"

namespace vitrine {

struct TrackInfo {
  TeacherRecord teacher;
  std::string kind;                  ///< "logits", "features" or "attention"
  int block = -1;                    ///< the teacher's block, from 0; -1 for logits
  bool normalised = true;            ///< features: after the teacher's last LayerNorm
  std::vector<int> heads;            ///< attention: those kept, from 0; empty: all
  bool heads_mean = false;           ///< attention: the mean over those heads is kept instead of each
  std::vector<std::uint32_t> shape;  ///< of one view: [K], [C, H, W], [heads, H, W]
  CodecSettings codec;
  Compression compression;
  std::string plan_hash;
  ComputeRecord made_with;                   ///< what began the track; its shards say what made each of them
  std::vector<EncodingRecord> recoded_from;  ///< what the values went through before, the teacher's encoding first
  std::uint64_t calibration_views = 0;       ///< of a recoded transform track: views that its basis was made from

  /// "logits", "features.11", "attention.11".
  std::string name() const;
  /// Below the cache: "TEACHER.xxxxxxxx/NAME", with the first digits of the weights' hash.
  std::string directory() const;
  /// The settings as JSON, as shards hold them: equal tracks give equal text. Throws Error for a text that is not
  /// UTF-8.
  std::string json() const;
  /// The text of track.json: json() with its check.
  std::string file_text() const;
  /// Keys that this version does not know are passed over, but for those of `codec`. Throws Error, beginning with
  /// `where`: kNewer for a format, an encoding or a setting of a newer version, kInput for a format from before the
  /// first release, kCorrupt for a text that is not a track's or a field out of its range.
  static TrackInfo from_json(const std::string& json, const std::string& where);
  static TrackInfo from_json(const nlohmann::ordered_json& json, const std::string& where);
  /// The same for the text of a track.json; also kCorrupt when its check is missing or not that of the text before it.
  static TrackInfo from_file_text(const std::string& text, const std::string& where);
  /// Throws Error, beginning with `where`, when a field is out of its range.
  void check(const std::string& where) const;
  /// Values of one view.
  std::size_t view_values() const;

  bool operator==(const TrackInfo&) const = default;
};

/// `json`, the text of an object as dump(2) lays it out with a line feed at the end, with a last key "check" more:
/// XXH3-64 of `json`.
std::string with_check(const std::string& json);

/// The fields by which two tracks differ, by their names in track.json, with both values.
std::vector<JsonDifference> differences(const TrackInfo& there, const TrackInfo& here);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_TRACK_H_
