#include "extract/prepare/class_names.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/error.h"

namespace vitrine {
namespace {

void check_order(const ExtractOptions& options, const Teacher& teacher, const std::vector<std::string>& folders) {
  const std::vector<std::string>& names = teacher.class_names();
  if (names.size() != folders.size() || names == folders) return;
  std::vector<std::string> a = names, b = folders;
  std::ranges::sort(a), std::ranges::sort(b);
  if (a != b) return;  // other words for the classes, or other classes: for the check on clean crops to find
  std::size_t first = 0;
  while (names[first] == folders[first]) ++first;
  fail(options.images, ": class ", first, " is ", folders[first], ", but the teacher's class ", first, " is ",
       names[first], "; set class_names to a file with the teacher's class names in its order, one per line");
}

}  // namespace

std::optional<ClassMap> map_of_classes(const ExtractOptions& options, const Teacher& teacher, const ImageIndex& index) {
  const auto classes = static_cast<std::uint32_t>(teacher.classes());
  const ClassMapFiles files{options.class_map, options.class_names};
  if (options.labels == Labels::kNone) return std::nullopt;
  if (files.given()) return read_class_map(files, classes, index.classes);
  if (classes == 0) return std::nullopt;
  if (classes != index.classes.size() && !options.taps.logits) return std::nullopt;
  if (classes != index.classes.size())
    fail(options.images, ": has ", index.classes.size(), " classes, but the teacher's head has ", classes,
         "; they must be the same classes in the same order, or be mapped (class_map, class_names); or keep only its "
         "features and attention (taps.logits = false), or set labels = \"none\"");
  check_order(options, teacher, index.classes);
  return std::nullopt;
}

std::string why_no_top1(const Teacher& teacher, const ImageIndex& index, const ClassMap* map) {
  const auto classes = static_cast<std::size_t>(teacher.classes());
  if (classes == 0) return "it has no head";
  if (index.labelled() == 0) return "the images have no labels";
  if (map == nullptr && classes != index.classes.size())
    return text("its head has ", classes, " classes, the images have ", index.classes.size(),
                ", and no class_map or class_names says which correspond");
  return {};
}

}  // namespace vitrine
