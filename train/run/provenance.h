// Checks that the sources a run learns from agree, field by field (common/cache/provenance.h). Differences that a user
// may accept deliberately are errors until their word is in `allow`; then they are printed and recorded in
// summary.json.
#ifndef VITRINE_TRAIN_RUN_PROVENANCE_H_
#define VITRINE_TRAIN_RUN_PROVENANCE_H_

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/teacher/teacher.h"
#include "train/targets/target_options.h"

namespace vitrine {

enum class Difference {
  kTeachers,       ///< tracks of different weights, or targets.teacher is not the cache's teacher
  kPreprocessing,  ///< teachers with different mean, std or interpolation
  kMixed,          ///< tracks or shards computed with different arithmetic (extract/mixed.h)
  kPictures,       ///< the student's picture differs from the one that the teacher saw
  kTracks,         ///< a checkpoint's tracks were replaced since, are fewer or more, or have other class names
  kChance          ///< a live teacher scores at chance, or fits another class order better
};

struct AllowedDifference {
  std::string word;        ///< the word that allowed it
  std::string difference;  ///< location, key and both values
  bool operator==(const AllowedDifference&) const = default;
};

class Allowance {
 public:
  /// `words`: comma-separated, "teachers, mixed". Throws Error that lists the known words for an unknown one.
  explicit Allowance(const std::string& words);

  bool allows(Difference kind) const { return allowed_.contains(kind); }
  /// Throws Error "`difference`; `remedy`, or continue anyway with --allow WORD" unless it is allowed.
  void require(Difference kind, const std::string& difference, const std::string& remedy) const;
  /// As require(); prints and records an allowed difference.
  void meet(Difference kind, const std::string& difference, const std::string& remedy);
  /// Records a difference met before the run was resumed; duplicates are dropped.
  void keep(const AllowedDifference& difference);
  const std::vector<AllowedDifference>& met() const { return met_; }

 private:
  std::set<Difference> allowed_;
  std::vector<AllowedDifference> met_;
};

/// The word for `allow`: "teachers", ...
std::string word_of(Difference kind);
/// All of them: "teachers, preprocessing, ...".
std::string allowance_words();

/// Compares the cache's tracks that a run reads with each other: teachers, preprocessing, and the arithmetic of their
/// shards (reads the tables of up to 1,024 shards per track, evenly spread). With `several_teachers` only the tracks of
/// each teacher are compared with each other. Throws Error.
void check_tracks(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks, bool several_teachers,
                  Allowance& allowance);

/// Compares the teacher used for agreement (targets.teacher) with the one that made `track`. Throws Error. Returns the
/// options of the former, with empty ones filled in from `track`.
TeacherOptions check_evaluation_teacher(const TrackInfo& track, const TeacherOptions& teacher, Allowance& allowance);

/// targets.teacher for an evaluation after training: as above with the track that its weights made, where the targets
/// are a cache's that has one; else as it is. A cache that is gone is noted.
TeacherOptions evaluation_teacher(const TargetOptions& targets, Allowance& allowance);

/// The keys of a run's tracks in its checkpoint: track.name(), or for a second track of that name its directory.
std::vector<std::pair<std::string, TrackInfo>> by_name(const std::vector<TrackInfo>& tracks);

/// Compares the tracks of a cache or of a live teacher with those that a checkpoint learnt from. `before`: the text of
/// track.json by track name; empty for checkpoints that do not record it. `where`: the checkpoint's directory. Throws
/// Error.
void check_resumed_tracks(const std::map<std::string, std::string>& before, const std::vector<TrackInfo>& now,
                          const std::string& where, Allowance& allowance);

/// Compares the class names that the teacher's logits are mapped by, TargetSource::matched_names(), with those of the
/// checkpoint; nullopt for one that does not record them. They may come from files beside the weights or the tracks,
/// which the tracks' records do not have. Throws Error with the first difference.
void check_resumed_classes(const std::optional<std::vector<std::string>>& before, const std::vector<std::string>& now,
                           const std::string& where, Allowance& allowance);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_PROVENANCE_H_
