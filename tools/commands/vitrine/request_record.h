// What a command was asked, recorded in the directory of its results: the same request resumes there, another one is
// refused.
#ifndef VITRINE_TOOLS_COMMANDS_VITRINE_REQUEST_RECORD_H_
#define VITRINE_TOOLS_COMMANDS_VITRINE_REQUEST_RECORD_H_

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "common/base/file_lock.h"

namespace vitrine {

struct RequestRecord {
  std::filesystem::path directory;
  std::string command;  ///< "distil"; the record is the file distil.json
  /// What the results depend on. A value that is 0 or empty is one that was not given.
  nlohmann::ordered_json request;

  std::filesystem::path file() const { return directory / (command + ".json"); }
};

/// Whether the directory was begun with this request. False for one that is missing, empty, or holds only entries of
/// which `is_left` says that a call which did not come as far as begin() left them; publish()'s temporary files are
/// such entries too. Throws Error for a directory of another request, with every difference, or of anything else.
bool is_begun(const RequestRecord& record, const std::function<bool(const std::string& name)>& is_left = {});

/// Throws Error if the directory is that of a data set's images or inside it, where it would be taken for a class.
void refuse_inside(const RequestRecord& record, const std::filesystem::path& images);

/// Writes the record.
void begin(const RequestRecord& record);

/// The directory's lock, after begin(). Throws Error if another process holds it.
FileLock lock_of(const RequestRecord& record);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_VITRINE_REQUEST_RECORD_H_
