#include "tools/inspect/leftovers.h"

#include <algorithm>
#include <string_view>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/cache/preparation.h"
#include "common/cache/shard_directory.h"
#include "common/cache/teacher_classes.h"
#include "common/cache/teacher_score.h"
#include "common/image/index_record.h"
#include "common/image/left_out.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// Whether `name` is a name of a cache's files.
bool is_of_cache(const std::string& name) {
  const auto others = {"index.h5",        "plan.json",   "track.json", "basis.h5",       kTeacherClassesFile,
                       kTeacherScoreFile, kManifestName, kLeftOutFile, kIndexRecordFile, kPreparationFile};
  return shard_number_of(name) || std::ranges::find(others, name) != others.end();
}

// "NAME.damaged" or "NAME.damaged.NUMBER".
bool is_set_aside(const std::string& name) {
  const std::string end = std::string(".") + kSetAside;
  const std::size_t at = name.rfind(end);
  if (at == std::string::npos || !is_of_cache(name.substr(0, at))) return false;
  const std::string_view rest = std::string_view(name).substr(at + end.size());
  return rest.empty() ||
         (rest.size() > 1 && rest[0] == '.' && rest.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

// The entries of a directory; empty if it cannot be listed, which verify reports.
std::vector<DirectoryEntry> entries_of(const fs::path& directory) {
  try {
    return list_directory(directory);
  } catch (const Error&) {
    return {};
  }
}

// A cache's directory and the two levels below it.
std::vector<fs::path> directories_of(const fs::path& cache) {
  std::vector<fs::path> out{cache};
  const auto add_below = [&out](const fs::path& above) {
    for (const DirectoryEntry& entry : entries_of(above))
      if (entry.kind == DirectoryEntry::Kind::kDirectory) out.push_back(above / entry.name);
  };
  add_below(cache);
  const std::size_t teachers = out.size();
  for (std::size_t i = 1; i < teachers; ++i) add_below(fs::path(out[i]));
  return out;
}

}  // namespace

std::vector<std::string> set_aside_below(const fs::path& cache) {
  std::vector<std::string> out;
  for (const fs::path& directory : directories_of(cache))
    for (const DirectoryEntry& entry : entries_of(directory))
      if (is_set_aside(entry.name)) out.push_back((directory / entry.name).lexically_relative(cache).generic_string());
  std::ranges::sort(out);
  return out;
}

std::vector<std::string> abandoned_below(const fs::path& cache) {
  std::vector<std::string> out;
  for (const fs::path& directory : directories_of(cache)) try {
      for (const fs::path& file : abandoned_in(directory)) {
        const std::string name = file.filename().string();
        if (is_of_cache(name.substr(0, name.find(".part."))))
          out.push_back(file.lexically_relative(cache).generic_string());
      }
    } catch (const Error&) {  // cannot be listed, which verify reports
    }
  std::ranges::sort(out);
  return out;
}

}  // namespace vitrine
