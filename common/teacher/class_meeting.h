// Holds the names of a teacher's classes against the class folders, where no file says which correspond.
#ifndef VITRINE_COMMON_TEACHER_CLASS_MEETING_H_
#define VITRINE_COMMON_TEACHER_CLASS_MEETING_H_

#include <optional>
#include <string>
#include <vector>

#include "common/teacher/class_map.h"

namespace vitrine {

enum class ClassMeeting {
  kUnknown,  ///< the names of one side are not known
  kSame,     ///< the same names in the same order
  kByName,   ///< every folder is a class of the teacher's, which may have more, in another order
  kStrange,  ///< some folders are classes of the teacher's, and some are not
  kForeign   ///< none is: names of another kind ("n01440764" and "tench"), or other classes
};

/// `names`: of the teacher's classes, in the order of its head; `folders`: of the class folders. Each may be empty.
ClassMeeting meet_classes(const std::vector<std::string>& names, const std::vector<std::string>& folders);

/// The elements of `folders` that are not in `names`, for messages: "wasp, zebra"; of many the first.
std::string strange_folders(const std::vector<std::string>& names, const std::vector<std::string>& folders);

/// The first of `folders` whose name several of `names` have, so that it cannot be mapped by name; empty: none.
std::string ambiguous_folder(const std::vector<std::string>& names, const std::vector<std::string>& folders);

/// The map for a teacher whose logits are used: of kByName, which it prints; else none, and the classes are taken in
/// the order of the folders, which it says of kForeign where their numbers agree. Throws Error for kStrange and for a
/// folder whose name several classes have. `where`: what has these classes, for messages: the folders' path, or "the
/// student"; `keys`: what stands before class_map and class_names in the configuration ("" or "targets.").
std::optional<ClassMap> map_by_name(const std::vector<std::string>& names, const std::vector<std::string>& folders,
                                    const std::string& where, const std::string& keys);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CLASS_MEETING_H_
