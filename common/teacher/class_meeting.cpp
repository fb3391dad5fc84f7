#include "common/teacher/class_meeting.h"

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

std::vector<std::string> strangers_of(const std::vector<std::string>& names, const std::vector<std::string>& folders) {
  const std::set<std::string_view> known(names.begin(), names.end());
  std::vector<std::string> out;
  std::ranges::copy_if(folders, std::back_inserter(out),
                       [&](const std::string& name) { return !known.contains(name); });
  return out;
}

}  // namespace

ClassMeeting meet_classes(const std::vector<std::string>& names, const std::vector<std::string>& folders) {
  if (names.empty() || folders.empty()) return ClassMeeting::kUnknown;
  if (names == folders) return ClassMeeting::kSame;
  const std::size_t strangers = strangers_of(names, folders).size();
  if (strangers == 0) return ClassMeeting::kByName;
  return strangers == folders.size() ? ClassMeeting::kForeign : ClassMeeting::kStrange;
}

std::string strange_folders(const std::vector<std::string>& names, const std::vector<std::string>& folders) {
  const std::vector<std::string> strangers = strangers_of(names, folders);
  std::string out;
  for (std::size_t i = 0; i < std::min(kShownFolders, strangers.size()); ++i) out += (i > 0 ? ", " : "") + strangers[i];
  return strangers.size() > kShownFolders ? text(out, " and ", strangers.size() - kShownFolders, " more") : out;
}

std::string ambiguous_folder(const std::vector<std::string>& names, const std::vector<std::string>& folders) {
  const std::multiset<std::string_view> known(names.begin(), names.end());
  const auto found = std::ranges::find_if(folders, [&](const std::string& name) { return known.count(name) > 1; });
  return found == folders.end() ? std::string() : *found;
}

std::optional<ClassMap> map_by_name(const std::vector<std::string>& names, const std::vector<std::string>& folders,
                                    const std::string& where, const std::string& keys) {
  switch (meet_classes(names, folders)) {
    case ClassMeeting::kUnknown:
    case ClassMeeting::kSame:
      return std::nullopt;
    case ClassMeeting::kByName: {
      ClassMap map = match_class_names(names, folders, where);
      note(text("classes: the class folders are matched by name with the teacher's ", names.size(), " classes"));
      return map;
    }
    case ClassMeeting::kStrange:
      fail(where, ": has classes that are not among the teacher's ", names.size(),
           " classes: ", strange_folders(names, folders), "; rename or remove them, or say which classes correspond (",
           keys, "class_map, ", keys, "class_names)");
    case ClassMeeting::kForeign:
      break;
  }
  if (names.size() == folders.size())
    note(text("warning: none of the teacher's class names (", names.front(), ", ...) is a class folder's (",
              folders.front(), ", ...): its classes are taken in the order of the folders; if they have another, set ",
              keys, "class_names to a file with the folders' names in the teacher's order, one per line"));
  return std::nullopt;
}

}  // namespace vitrine
