// Compares the teacher's classes with the class folders.
#ifndef VITRINE_EXTRACT_PREPARE_CLASS_NAMES_H_
#define VITRINE_EXTRACT_PREPARE_CLASS_NAMES_H_

#include <optional>
#include <string>
#include <vector>

#include "common/plan/image_index.h"
#include "common/teacher/class_map.h"
#include "common/teacher/class_name_match.h"
#include "common/teacher/teacher.h"
#include "extract/options.h"

namespace vitrine {

/// How the teacher's classes are the class folders'; used to evaluate the teacher, and recorded for those who read its
/// logits.
struct TeacherClasses {
  std::optional<ClassMap> map;  ///< none: in the order of the folders
  /// The teacher's in the order of its logits, where every folder is among them; else none.
  std::vector<std::string> known;
  /// The same for classes.json; none where they are the folders in their order.
  std::vector<std::string> names;
  std::string why_unmapped;  ///< the names do not give a map, and no logits that need one are kept
  ClassNameMatch match =
      ClassNameMatch::kUnknown;  ///< of the names that the teacher knows, without a map of the options
};

/// The map that the options name; without one, of class folders that the teacher knows by name, which it prints. Throws
/// Error for a map without a head, and for different classes whose logits are kept: another number of them without
/// names, folders of which the teacher knows only some, or a map of logits of which only the largest are kept.
TeacherClasses classes_of(const ExtractOptions& options, const Teacher& teacher, const ImageIndex& index);

/// Why the teacher has no top-1 on these images: "it has no head", ...; empty if it has.
std::string why_no_top1(const Teacher& teacher, const ImageIndex& index, const TeacherClasses& classes);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_PREPARE_CLASS_NAMES_H_
