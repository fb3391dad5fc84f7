// Whether what a run learns from fits together: fields are compared one by one, as typed (common/cache/provenance.h).
// What a user may rightly want all the same is refused until its word stands in `allow`, then told and kept for
// summary.json.
#ifndef VITRINE_TRAIN_RUN_PROVENANCE_H_
#define VITRINE_TRAIN_RUN_PROVENANCE_H_

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/teacher/teacher.h"

namespace vitrine {

enum class Difference {
  kTeachers,       ///< tracks of different weights, or a judge that is not the cache's teacher
  kPreprocessing,  ///< these saw colours or sizes made in different ways
  kMixed,          ///< tracks or shards made by different arithmetic (extract/mixed.h)
  kPictures,       ///< the student's picture is not the one that the teacher saw
  kTracks          ///< a checkpoint learnt from a cache's tracks, or a live teacher's, that are others now
};

struct AllowedDifference {
  std::string word;        ///< that allowed it
  std::string difference;  ///< where it is, its key and both values
  bool operator==(const AllowedDifference&) const = default;
};

class Allowance {
 public:
  /// "teachers, mixed": words with commas between them. Throws Error that lists the words for one that is none.
  explicit Allowance(const std::string& words);

  bool allows(Difference kind) const { return allowed_.contains(kind); }
  /// Throws Error "`difference`; `remedy`, or go on all the same with --allow WORD" unless it is allowed.
  void require(Difference kind, const std::string& difference, const std::string& remedy) const;
  /// The same; what is allowed is noted and kept.
  void meet(Difference kind, const std::string& difference, const std::string& remedy);
  /// What was met before the run was stopped. Equal ones are kept once.
  void keep(const AllowedDifference& difference);
  const std::vector<AllowedDifference>& met() const { return met_; }

 private:
  std::set<Difference> allowed_;
  std::vector<AllowedDifference> met_;
};

/// "teachers", ...
std::string word_of(Difference kind);

/// Holds the tracks of a cache, those that a run reads, against each other: teachers, preprocessing, and the arithmetic
/// of their shards, for which the tables of up to 1,024 of each, evenly spread, are read. Throws Error.
/// With `several_teachers` only the tracks of each teacher are compared with each other.
void check_tracks(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks, bool several_teachers,
                  Allowance& allowance);

/// Holds a teacher that judges the student (targets.teacher) against the one that it learns from. Throws Error. Returns
/// the judge's options, with what is empty in them filled in as `track` has it.
TeacherOptions check_judge(const TrackInfo& track, const TeacherOptions& judge, Allowance& allowance);

/// Names for a run's tracks in its checkpoint: track.name(), or of a second teacher's track of that name its directory.
std::vector<std::pair<std::string, TrackInfo>> by_name(const std::vector<TrackInfo>& tracks);

/// Holds the tracks of a cache or of a live teacher against those that a checkpoint learnt from: `before`, the text of
/// track.json by the track's name; empty where the checkpoint does not say. `where`: the checkpoint's directory. Throws
/// Error.
void check_resumed_tracks(const std::map<std::string, std::string>& before, const std::vector<TrackInfo>& now,
                          const std::string& where, Allowance& allowance);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_PROVENANCE_H_
