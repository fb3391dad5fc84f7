// A track: one kind of target from one teacher over some passes. Its directory holds its settings in track.json.
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
  std::string kind;                  ///< "logits", "embedding", "features" or "attention"
  int block = -1;                    ///< the teacher's block, from 0; -1 for logits and embedding
  bool normalised = true;            ///< features: taken after the teacher's last LayerNorm
  std::vector<int> heads;            ///< attention: heads stored, from 0; empty: all
  bool heads_mean = false;           ///< attention: stores the mean over those heads
  bool rollout = false;              ///< attention: stores the rollout up to `block`, of the mean over all heads
  std::vector<std::uint32_t> shape;  ///< of one view: [K], [D], [C, H, W], [heads, H, W]
  CodecSettings codec;
  Compression compression;
  std::string plan_hash;
  /// Logits: of the names in the teacher's classes.json (teacher_classes.h), without which it is not known what classes
  /// they are of. Empty: they are the class folders in their order; also in tracks that an earlier version began.
  std::string class_names_sha256;
  ComputeRecord made_with;                   ///< of the process that began the track; each shard has its own
  std::vector<EncodingRecord> recoded_from;  ///< earlier encodings, the teacher's first
  std::uint64_t calibration_views = 0;       ///< of a recoded transform track: views used for its basis

  /// "logits", "embedding", "features.11", "attention.11".
  std::string name() const;
  /// Relative to the cache: "TEACHER.xxxxxxxx/NAME", with the first digits of the weights' hash.
  std::string directory() const;
  /// The settings as JSON, as stored in shards. Equal tracks give equal text. Throws Error for strings that are not
  /// UTF-8.
  std::string json() const;
  /// The text of track.json: json() with a check.
  std::string file_text() const;
  /// Unknown keys are ignored, except those of `codec`. Throws Error, beginning with `where`: kNewer for a format,
  /// encoding or setting of a newer version, kInput for a format from before the first release, kCorrupt for a text
  /// that is not a track's or a field out of range.
  static TrackInfo from_json(const std::string& json, const std::string& where);
  static TrackInfo from_json(const nlohmann::ordered_json& json, const std::string& where);
  /// The same for the text of a track.json; also kCorrupt when its check is missing or wrong.
  static TrackInfo from_file_text(const std::string& text, const std::string& where);
  /// Throws Error, beginning with `where`, when a field is out of range.
  void check(const std::string& where) const;
  /// Values of one view.
  std::size_t view_values() const;

  bool operator==(const TrackInfo&) const = default;
};

/// Appends the key "check", XXH3-64 of `json`, to `json`: an object formatted by dump(2) plus a line feed.
std::string with_check(const std::string& json);

/// Whether the text of a track.json, of any version, ends in the right check of the rest.
bool has_right_check(const std::string& file_text);

/// The fields that differ, by their names in track.json, with both values.
std::vector<JsonDifference> differences(const TrackInfo& recorded, const TrackInfo& given);

/// Throws Error that names the difference unless json["track"], of a shard's attributes, equals the track.json
/// `expected`. Ignores the order of keys and unknown keys.
void expect_track(const Container& container, const nlohmann::ordered_json& json, const TrackInfo& expected);

/// Relative to the cache's directory.
std::filesystem::path basis_path(const TrackInfo& track);

/// Throws Error when the file is missing, damaged or does not match its hash.
FeatureBasis read_basis(const std::filesystem::path& path);

/// The track's basis; nullptr for encodings without one. Also throws Error when the file's hash differs from
/// track.json's.
std::shared_ptr<const FeatureBasis> load_basis(const std::filesystem::path& cache, const TrackInfo& track);

/// A shard's own attributes, besides its place and its track.
struct ShardNotes {
  /// What computed the shard; none means TrackInfo::made_with. They differ only where kinds were mixed on purpose.
  std::optional<ComputeRecord> made_with = {};
  /// The measured error of the codec: CodecLoss::json(), or empty.
  std::string loss = {};
};

struct ArithmeticKind {
  ComputeRecord made_with;
  std::uint64_t shards = 0;

  bool operator==(const ArithmeticKind&) const = default;
};

/// Reads a shard's notes. Throws Error for a file that is not a shard or has no valid notes.
ShardNotes read_notes(const Container& shard);

/// The distinct kinds among these notes with their numbers of shards, ascending.
std::vector<ArithmeticKind> arithmetic_kinds(std::span<const ShardNotes> shards);

/// The largest plan.group, a multiple of `step`, whose groups can be stored: every chunk is below 4 GiB, and a
/// transform group has at most 2^29 values, a uniform one 2^30. 0 if there is none. A transform track does not need its
/// basis yet. Throws Error for invalid settings of the encoding.
std::uint64_t largest_group(const TrackInfo& track, std::uint32_t step);

/// Throws Error that names plan.group, the track and the largest valid value, unless groups of `group` views can be
/// stored. `step`: plan.group must be a multiple of it.
void check_group(const TrackInfo& track, std::uint32_t group, std::uint32_t step);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_TRACK_H_
