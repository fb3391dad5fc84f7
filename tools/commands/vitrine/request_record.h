// What a command was asked, recorded in the directory of its results: the same request resumes there, another one is
// refused.
#ifndef VITRINE_TOOLS_COMMANDS_VITRINE_REQUEST_RECORD_H_
#define VITRINE_TOOLS_COMMANDS_VITRINE_REQUEST_RECORD_H_

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/file_lock.h"

namespace vitrine {

struct RequestRecord {
  std::filesystem::path directory;
  std::string command;  ///< "distil"; the record is the file distil.json
  /// What the results depend on. A value that is 0 or empty is one that was not given.
  nlohmann::ordered_json request;
  std::vector<std::string> files = {};  ///< names of what is written there before the record

  std::filesystem::path file() const { return directory / (command + ".json"); }
  /// Empty, and there only while `files` and the record are written: beside it they are what a killed call left.
  std::filesystem::path mark() const { return directory / (command + ".writing"); }
};

/// Whether the directory was begun with this request. False for one that is missing, empty, or holds only what a call
/// that was killed in begin_or_resume() left. Throws Error for a directory of another request, with every difference,
/// or of anything else, and for paths that are not UTF-8, which no record can hold.
bool is_begun(const RequestRecord& record);

/// Unless is_begun(), `write` writes the record's files, and then the record marks them complete. Returns the
/// directory's lock. Throws Error as is_begun() does, and if another process holds the lock or is about to begin.
FileLock begin_or_resume(const RequestRecord& record, const std::function<void()>& write = {});

/// Throws Error for a path that is not UTF-8.
void require_utf8(const std::string& path);

/// Absolute, with its symbolic links: beside a link are other files than beside what it leads to (resolved_path()). An
/// empty path stays so.
std::string absolute_path(const std::string& path);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_VITRINE_REQUEST_RECORD_H_
