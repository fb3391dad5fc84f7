// Compares the teacher's classes with the class folders.
#ifndef VITRINE_EXTRACT_PREPARE_CLASS_NAMES_H_
#define VITRINE_EXTRACT_PREPARE_CLASS_NAMES_H_

#include <optional>
#include <string>

#include "common/plan/image_index.h"
#include "common/teacher/class_map.h"
#include "common/teacher/teacher.h"
#include "extract/options.h"

namespace vitrine {

/// The map that the options name, or none; used only to evaluate the teacher. Throws Error if teacher and images have
/// different classes without a map: another number of them (unless its logits are not kept), or the same names, as the
/// weights state them, in another order; or a map without a head.
std::optional<ClassMap> map_of_classes(const ExtractOptions& options, const Teacher& teacher, const ImageIndex& index);

/// Why the teacher has no top-1 on these images: "it has no head", ...; empty if it has. `map`: of map_of_classes().
std::string why_no_top1(const Teacher& teacher, const ImageIndex& index, const ClassMap* map);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_PREPARE_CLASS_NAMES_H_
