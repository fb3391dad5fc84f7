// classes.json in a teacher's directory: the names of its classes, where they are not the class folders' in their order
// (FORMAT.md). Who reads its logits matches them by name.
#ifndef VITRINE_COMMON_CACHE_TEACHER_CLASSES_H_
#define VITRINE_COMMON_CACHE_TEACHER_CLASSES_H_

#include <filesystem>
#include <string>
#include <vector>

#include "common/cache/track.h"

namespace vitrine {

inline constexpr const char* kTeacherClassesFile = "classes.json";

/// `teacher`: "NAME.xxxxxxxx". In the order of its logits; empty if the cache has none, and then they are the class
/// folders. Throws Error: kNewer for a newer version, kCorrupt if the file is not a list of names.
std::vector<std::string> read_teacher_classes(const std::filesystem::path& cache, const std::string& teacher);
/// TrackInfo::class_names_sha256: of the names, each followed by a line feed.
std::string class_names_sha256(const std::vector<std::string>& names);
/// Throws Error that names the first class that differs, if the file is there and has other names.
void check_teacher_classes(const std::filesystem::path& cache, const std::string& teacher,
                           const std::vector<std::string>& names);
/// Throws Error if the track records its class names and the file is missing or has others.
void check_class_names(const std::filesystem::path& cache, const TrackInfo& track);
/// Writes the file unless an earlier preparation already did; cache files are immutable. Throws as
/// check_teacher_classes() does.
void write_teacher_classes(const std::filesystem::path& cache, const std::string& teacher,
                           const std::vector<std::string>& names);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_TEACHER_CLASSES_H_
