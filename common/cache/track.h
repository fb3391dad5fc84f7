// A track: one kind of target from one teacher over some passes. Its settings stand in track.json in its directory.
#ifndef VITRINE_COMMON_CACHE_TRACK_H_
#define VITRINE_COMMON_CACHE_TRACK_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/cache/provenance.h"
#include "common/codec/codec.h"
#include "common/codec/frame.h"

namespace vitrine {

class Container;
struct FeatureBasis;

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

/// Throws Error that names what differs unless json["track"], of a shard's attributes, is the copy of the track.json
/// `expected`. An order of keys is no difference, nor are keys that this version does not know.
void expect_track(const Container& container, const nlohmann::ordered_json& json, const TrackInfo& expected);

/// Below the cache's directory.
std::filesystem::path basis_path(const TrackInfo& track);

/// Throws Error for a file that is missing, damaged or not the basis that its own hash names.
FeatureBasis read_basis(const std::filesystem::path& path);

/// The basis that a track of a cache needs: nothing for other encodings. Throws Error also when the file has another
/// hash than track.json names.
std::shared_ptr<const FeatureBasis> load_basis(const std::filesystem::path& cache, const TrackInfo& track);

/// What a shard's attributes say of itself, beside its place and its track.
struct ShardNotes {
  /// What really made it; none: what began the track, as it does unless kinds were mixed on purpose.
  std::optional<ComputeRecord> made_with = {};
  /// The error that the codec really made: CodecLoss::json(), or empty.
  std::string loss = {};
};

struct ArithmeticKind {
  ComputeRecord made_with;
  std::uint64_t shards = 0;

  bool operator==(const ArithmeticKind&) const = default;
};

/// The notes that a shard was written with. Throws Error for a file that is no shard or does not say what made it.
ShardNotes read_notes(const Container& shard);

/// The kinds of shards with these notes, ascending.
std::vector<ArithmeticKind> arithmetic_kinds(std::span<const ShardNotes> shards);

/// The largest plan.group, a multiple of `step`, of which a group of the track can be stored: every chunk is below 4
/// GiB, and a transform group has at most 2^29 values, a uniform one 2^30. 0: none. A transform track needs no basis
/// yet. Throws Error for settings that the track's encoding does not allow.
std::uint64_t largest_group(const TrackInfo& track, std::uint32_t step);

/// Throws Error that names plan.group, the track and the largest value that works, unless groups of `group` views can
/// be stored. `step`: what plan.group must be a multiple of.
void check_group(const TrackInfo& track, std::uint32_t group, std::uint32_t step);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_TRACK_H_
