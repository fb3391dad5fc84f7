// Holds the names of a teacher's classes against the class folders, where no file says which correspond.
#ifndef VITRINE_COMMON_TEACHER_CLASS_NAME_MATCH_H_
#define VITRINE_COMMON_TEACHER_CLASS_NAME_MATCH_H_

#include <optional>
#include <string>
#include <vector>

#include "common/teacher/class_map.h"

namespace vitrine {

enum class ClassNameMatch {
  kUnknown,  ///< the names of one side are not known
  kSame,     ///< the same names in the same order
  kByName,   ///< every folder is a class of the teacher's, which may have more, in another order
  kPartial,  ///< some folders are classes of the teacher's, and some are not
  kDisjoint  ///< none is: names of another kind ("n01440764" and "tench"), or other classes
};

/// `names`: of the teacher's classes, in the order of its head; `folders`: of the class folders. Each may be empty.
ClassNameMatch compare_class_names(const std::vector<std::string>& names, const std::vector<std::string>& folders);

/// The elements of `folders` that are not in `names`, for messages: "wasp, zebra"; of many the first.
std::string unmatched_folders(const std::vector<std::string>& names, const std::vector<std::string>& folders);

/// The first of `folders` whose name several of `names` have, so that it cannot be mapped by name; empty: none.
std::string ambiguous_folder(const std::vector<std::string>& names, const std::vector<std::string>& folders);

/// The map for a teacher whose logits are used: of kByName, which it prints; else none, and the classes are taken in
/// the order of the folders, which it says of kDisjoint where their numbers agree. Throws Error for kPartial and for a
/// folder whose name several classes have. `where`: what has these classes, for messages: the folders' path, or "the
/// student"; `keys`: what stands before class_map and class_names in the configuration ("" or "targets.").
std::optional<ClassMap> map_by_name(const std::vector<std::string>& names, const std::vector<std::string>& folders,
                                    const std::string& where, const std::string& keys);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CLASS_NAME_MATCH_H_
