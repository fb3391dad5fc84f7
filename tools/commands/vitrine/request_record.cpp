#include "tools/commands/vitrine/request_record.h"

#include <algorithm>
#include <system_error>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/base/json_difference.h"
#include "common/base/utf8.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Without the values that say "not given".
Json given_of(const Json& request) {
  Json out = Json::object();
  for (const auto& [key, value] : request.items()) {
    const bool none =
        value.is_null() || value == "" || (value.is_number() && value == 0) || (value.is_structured() && value.empty());
    if (!none) out[key] = value;
  }
  return out;
}

void require_utf8_in(const Json& value) {
  if (value.is_string()) require_utf8(value.get_ref<const std::string&>());
  if (!value.is_structured()) return;
  for (const auto& [key, inner] : value.items()) {
    require_utf8(key);
    require_utf8_in(inner);
  }
}

std::string without_last_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();  // "photos" and "photos/" are the same
  return path;
}

[[noreturn]] void refuse_second(const RequestRecord& record) {
  throw Error(ErrorKind::kInput, {.path = record.directory.string(),
                                  .what = "another process is working there",
                                  .remedy = "wait for its end, or choose another --out"});
}

FileLock lock_of(const RequestRecord& record) {
  FileLock lock = FileLock::on_file(record.file());
  if (lock.try_lock() == FileLock::Outcome::kHeldByAnother) refuse_second(record);
  return lock;
}

// RAII: the record's mark, locked. It is removed again unless writing failed.
class WritingMark {
 public:
  explicit WritingMark(const RequestRecord& record)
      : record_(record), lock_((make_directories(record.directory), FileLock::on_file(record.mark()))) {
    // Without its name it is that of a call that has begun the directory meanwhile.
    if (lock_.try_lock() == FileLock::Outcome::kHeldByAnother || !lock_.has_its_name()) refuse_second(record);
  }
  ~WritingMark() {
    std::error_code ignored;
    if (!writing_) fs::remove(record_.mark(), ignored);
  }
  WritingMark(const WritingMark&) = delete;
  WritingMark& operator=(const WritingMark&) = delete;

  void write(const std::function<void()>& files) {
    writing_ = true;
    if (files) files();
    const Json json = {{"format", "vitrine " + record_.command}, {"version", 1}, {"request", record_.request}};
    publish(record_.file(), json.dump(2) + "\n");
    writing_ = false;
  }

 private:
  const RequestRecord& record_;
  FileLock lock_;
  bool writing_ = false;
};

}  // namespace

bool is_begun(const RequestRecord& record) {
  const std::string directory = record.directory.string();
  require_utf8(absolute_path(directory));
  require_utf8_in(record.request);
  if (!path_exists(record.directory)) return false;
  if (!directory_exists(record.directory))
    throw Error(ErrorKind::kInput, {.path = directory, .what = "is not a directory", .remedy = "choose another --out"});
  if (!path_exists(record.file())) {
    const bool marked = path_exists(record.mark());
    const auto was_left = [&](const DirectoryEntry& entry) {
      return is_temporary_name(entry.name) || record.directory / entry.name == record.mark() ||
             (marked && std::ranges::find(record.files, entry.name) != record.files.end());
    };
    if (std::ranges::all_of(list_directory(record.directory), was_left)) return false;
    throw Error(ErrorKind::kInput, {.path = directory,
                                    .what = "is not empty, and not a directory of vitrine " + record.command,
                                    .remedy = "choose another --out"});
  }
  const auto json = parse_json<Json>(read_file(record.file()));
  if (!json.is_object() || json.value("format", Json()) != "vitrine " + record.command || !json.contains("request") ||
      !json["request"].is_object())
    throw Error(ErrorKind::kCorrupt,
                {.path = record.file().string(), .what = "is damaged", .remedy = "choose another --out"});
  const std::string differs =
      describe_differences(json_differences(given_of(json["request"]), given_of(record.request)), "this command");
  if (!differs.empty())
    throw Error(ErrorKind::kInput, {.path = directory,
                                    .what = "was begun with another request: " + differs,
                                    .remedy = "repeat the command that began it, or choose another --out"});
  return true;
}

FileLock begin_or_resume(const RequestRecord& record, const std::function<void()>& write) {
  if (is_begun(record)) {
    FileLock lock = lock_of(record);
    remove_file(record.mark());  // of a call that was killed between the record and its own lock
    return lock;
  }
  WritingMark mark(record);
  if (!is_begun(record)) mark.write(write);  // another call may have begun it meanwhile
  return lock_of(record);
}

void require_utf8(const std::string& path) {
  if (is_utf8(path)) return;
  throw Error(ErrorKind::kInput,
              {.path = path, .what = "is not UTF-8, so that no TOML or JSON file can name it", .remedy = "rename it"});
}

std::string absolute_path(const std::string& path) {
  std::error_code failure;
  const fs::path whole = fs::absolute(path, failure);
  return path.empty() || failure ? path : without_last_slash(whole.string());
}

}  // namespace vitrine
