#include "common/teacher/class_name_match.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <set>
#include <string_view>

#include "common/base/error.h"
#include "common/base/progress.h"

namespace vitrine {
namespace {

constexpr std::size_t kShownFolders = 5;

std::vector<std::string> unmatched_in(const std::vector<std::string>& names, const std::vector<std::string>& folders) {
  const std::set<std::string_view> known(names.begin(), names.end());
  std::vector<std::string> out;
  std::ranges::copy_if(folders, std::back_inserter(out),
                       [&](const std::string& name) { return !known.contains(name); });
  return out;
}

}  // namespace

ClassNameMatch compare_class_names(const std::vector<std::string>& names, const std::vector<std::string>& folders) {
  if (names.empty() || folders.empty()) return ClassNameMatch::kUnknown;
  if (names == folders) return ClassNameMatch::kSame;
  const std::size_t unmatched = unmatched_in(names, folders).size();
  if (unmatched == 0) return ClassNameMatch::kByName;
  return unmatched == folders.size() ? ClassNameMatch::kDisjoint : ClassNameMatch::kPartial;
}

std::string unmatched_folders(const std::vector<std::string>& names, const std::vector<std::string>& folders) {
  const std::vector<std::string> unmatched = unmatched_in(names, folders);
  std::string out;
  for (std::size_t i = 0; i < std::min(kShownFolders, unmatched.size()); ++i) out += (i > 0 ? ", " : "") + unmatched[i];
  return unmatched.size() > kShownFolders ? text(out, " and ", unmatched.size() - kShownFolders, " more") : out;
}

std::string ambiguous_folder(const std::vector<std::string>& names, const std::vector<std::string>& folders) {
  const std::multiset<std::string_view> known(names.begin(), names.end());
  const auto found = std::ranges::find_if(folders, [&](const std::string& name) { return known.count(name) > 1; });
  return found == folders.end() ? std::string() : *found;
}

std::optional<ClassMap> map_by_name(const std::vector<std::string>& names, const std::vector<std::string>& folders,
                                    const std::string& where, const std::string& keys) {
  switch (compare_class_names(names, folders)) {
    case ClassNameMatch::kUnknown:
    case ClassNameMatch::kSame:
      return std::nullopt;
    case ClassNameMatch::kByName: {
      ClassMap map = match_class_names(names, folders, where);
      note(text("classes: the class folders are matched by name with the teacher's ", names.size(), " classes"));
      return map;
    }
    case ClassNameMatch::kPartial:
      fail(where, ": has classes that are not among the teacher's ", names.size(),
           " classes: ", unmatched_folders(names, folders),
           "; rename or remove them, or say which classes correspond (", keys, "class_map, ", keys, "class_names)");
    case ClassNameMatch::kDisjoint:
      break;
  }
  if (names.size() == folders.size())
    note(text("warning: none of the teacher's class names (", names.front(), ", ...) is a class folder's (",
              folders.front(), ", ...): its classes are taken in the order of the folders; if they have another, set ",
              keys, "class_names to a file with the folders' names in the teacher's order, one per line"));
  return std::nullopt;
}

}  // namespace vitrine
