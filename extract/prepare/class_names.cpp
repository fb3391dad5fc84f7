#include "extract/prepare/class_names.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/plan/class_names.h"

namespace vitrine {
namespace {

void set_names(TeacherClasses& classes, std::vector<std::string> names, ClassNameMatch match) {
  if (match != ClassNameMatch::kSame && match != ClassNameMatch::kByName) return;
  classes.known = std::move(names);
  if (match == ClassNameMatch::kByName) classes.names = classes.known;
}

TeacherClasses classes_of_files(const ExtractOptions& options, std::uint32_t classes, const ImageIndex& index) {
  TeacherClasses out;
  out.map = read_class_map({options.class_map, options.class_names}, classes, index.classes);
  if (!options.class_map.empty()) return out;
  std::vector<std::string> names = read_class_names(options.class_names, classes);
  const ClassNameMatch match = compare_class_names(names, index.classes);
  set_names(out, std::move(names), match);
  return out;
}

TeacherClasses classes_by_name(const ExtractOptions& options, const Teacher& teacher, const ImageIndex& index) {
  const auto classes = static_cast<std::uint32_t>(teacher.classes());
  TeacherClasses out;
  if (classes == 0) return out;
  out.match = compare_class_names(teacher.class_names(), index.classes);
  try {
    out.map = map_by_name(teacher.class_names(), index.classes, options.images, "");
  } catch (const Error& error) {
    if (options.taps.logits) throw;
    out.why_unmapped = error.what();  // features and attention need no map
    return out;
  }
  set_names(out, teacher.class_names(), out.match);
  if (out.map) return out;
  if (classes != index.classes.size() && options.taps.logits)
    fail(options.images, ": has ", index.classes.size(), " classes, but the teacher's head has ", classes,
         "; they must be the same classes in the same order, or be mapped (class_map, class_names); or keep only its "
         "features and attention (taps.logits = false), or set labels = \"none\"");
  return out;
}

}  // namespace

TeacherClasses classes_of(const ExtractOptions& options, const Teacher& teacher, const ImageIndex& index) {
  if (options.labels == Labels::kNone) return {};
  TeacherClasses out = ClassMapFiles{options.class_map, options.class_names}.given()
                           ? classes_of_files(options, static_cast<std::uint32_t>(teacher.classes()), index)
                           : classes_by_name(options, teacher, index);
  if (!out.names.empty() && options.taps.logits && options.taps.logits_encoding == "topk")
    fail(
        "taps.logits_encoding = \"topk\" keeps the largest logits only, but the teacher's classes are not the class "
        "folders in their order, and a class map needs all logits; set taps.logits_encoding = \"uniform\"");
  return out;
}

std::string why_no_top1(const Teacher& teacher, const ImageIndex& index, const TeacherClasses& met) {
  const auto classes = static_cast<std::size_t>(teacher.classes());
  if (classes == 0) return "it has no head";
  if (index.labelled() == 0) return "the images have no labels";
  if (met.map) return {};
  if (!met.why_unmapped.empty()) return met.why_unmapped;
  if (classes != index.classes.size())
    return text("its head has ", classes, " classes, the images have ", index.classes.size(),
                ", and no class_map or class_names says which correspond");
  return {};
}

}  // namespace vitrine
