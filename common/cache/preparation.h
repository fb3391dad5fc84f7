// prepared.json: what an extraction has prepared in a cache, and which passes it is to make there (FORMAT.md). It is
// written last of all that a preparation writes, so that what it names is there and whole.
#ifndef VITRINE_COMMON_CACHE_PREPARATION_H_
#define VITRINE_COMMON_CACHE_PREPARATION_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vitrine {

inline constexpr const char* kPreparationFile = "prepared.json";

/// Passes that follow each other; at least one.
struct PassRange {
  std::uint32_t first = 0, count = 1;
  std::uint64_t past() const { return std::uint64_t{first} + count; }
  bool operator==(const PassRange&) const = default;
};

struct PreparedTrack {
  std::string directory;          ///< below the cache: "vit.0123abcd/logits"
  std::vector<PassRange> passes;  ///< ascending, neither overlapping nor adjacent; at least one
  bool operator==(const PreparedTrack&) const = default;
};

struct Preparation {
  std::string plan_hash;
  std::vector<PreparedTrack> tracks = {};  ///< ascending by directory
  std::vector<PassRange> recipes = {};     ///< prepared without a track; as PreparedTrack::passes, but may be empty

  /// nullptr for a track that is not prepared.
  const PreparedTrack* find(const std::string& directory) const;
  bool covers(const std::string& directory, PassRange passes) const;
  /// Adds passes of a track, and the track where it is new.
  void add(const std::string& directory, PassRange passes);
  /// Adds passes of the recipes alone.
  void add_recipes(PassRange passes);
  /// The passes whose recipes are to be made: those prepared alone and those of all tracks.
  std::vector<PassRange> recipe_passes() const;
  bool covers_recipes(PassRange passes) const;

  /// The text of prepared.json: equal preparations give equal text.
  std::string json() const;
  /// Unknown keys are passed over. Throws Error, beginning with `where`: kNewer for a newer version, kCorrupt for a
  /// text that is not a preparation's.
  static Preparation from_json(const std::string& json, const std::string& where);
  bool operator==(const Preparation&) const = default;
};

/// The cache's prepared.json; nullopt when there is none. Throws Error: also, of kind kInput, when it is of another
/// plan than `plan_hash`.
std::optional<Preparation> read_preparation(const std::filesystem::path& cache, const std::string& plan_hash);
/// Publishes it unless the same is there.
void write_preparation(const std::filesystem::path& cache, const Preparation& preparation);

/// How far a directory of shards is.
struct ShardProgress {
  std::string directory;  ///< below the cache: "recipes", "vit.0123abcd/logits"
  std::vector<PassRange> passes;
  std::uint64_t wanted = 0, there = 0;                                ///< shards of these passes
  std::vector<std::pair<std::uint64_t, std::uint64_t>> missing = {};  ///< their numbers, first to last, ascending
};
/// Of the recipes and of each prepared track, from one listing a directory; no shard is opened.
std::vector<ShardProgress> shard_progress(const std::filesystem::path& cache, const Preparation& preparation,
                                          std::uint32_t shards_per_pass);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_PREPARATION_H_
