// classes.json in a teacher's directory: the names of its classes, where they are not the class folders' in their order
// (FORMAT.md). Who reads its logits matches them by name.
#ifndef VITRINE_COMMON_CACHE_TEACHER_CLASSES_H_
#define VITRINE_COMMON_CACHE_TEACHER_CLASSES_H_

#include <filesystem>
#include <string>
#include <vector>

namespace vitrine {

inline constexpr const char* kTeacherClassesFile = "classes.json";

/// `teacher`: "NAME.xxxxxxxx". In the order of its logits; empty if the cache has none, and then they are the class
/// folders. Throws Error: kNewer for a newer version, kCorrupt for a text that is no list of names.
std::vector<std::string> read_teacher_classes(const std::filesystem::path& cache, const std::string& teacher);
/// Writes the file unless an earlier preparation already did; cache files are immutable.
void write_teacher_classes(const std::filesystem::path& cache, const std::string& teacher,
                           const std::vector<std::string>& names);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_TEACHER_CLASSES_H_
