// check.json in a teacher's directory: how the teacher did on clean crops when its first track was prepared
// (FORMAT.md). Informational.
#ifndef VITRINE_COMMON_CACHE_TEACHER_SCORE_H_
#define VITRINE_COMMON_CACHE_TEACHER_SCORE_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace vitrine {

inline constexpr const char* kTeacherScoreFile = "check.json";

struct TeacherScore {
  std::uint64_t images = 0;                      ///< labelled images whose clean crops were evaluated; at least 1
  double top1 = 0, top5 = 0;                     ///< in [0, 1]
  double confidence = 0, calibration_error = 0;  ///< mean of the largest probability; expected calibration error

  std::string json() const;
  /// Unknown keys are ignored. Throws Error, beginning with `where`: kNewer for a newer version, kCorrupt for a text
  /// that is not a score's.
  static TeacherScore from_json(const std::string& json, const std::string& where);
  bool operator==(const TeacherScore&) const = default;
};

/// `teacher`: "NAME.xxxxxxxx". nullopt if the cache has none. Throws Error.
std::optional<TeacherScore> read_teacher_score(const std::filesystem::path& cache, const std::string& teacher);
/// Writes the file unless an earlier preparation already did; cache files are immutable.
void write_teacher_score(const std::filesystem::path& cache, const std::string& teacher, const TeacherScore& score);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_TEACHER_SCORE_H_
