#include "tools/commands/vitrine/request_record.h"

#include <algorithm>
#include <system_error>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/base/json_difference.h"

namespace vitrine {
namespace {

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

}  // namespace

bool is_begun(const RequestRecord& record, const std::function<bool(const std::string& name)>& is_left) {
  const std::string directory = record.directory.string();
  if (!path_exists(record.directory)) return false;
  if (!directory_exists(record.directory))
    throw Error(ErrorKind::kInput, {.path = directory, .what = "is not a directory", .remedy = "choose another --out"});
  if (!path_exists(record.file())) {
    const auto was_left = [&](const DirectoryEntry& entry) {
      return is_temporary_name(entry.name) || (is_left && is_left(entry.name));
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

void refuse_inside(const RequestRecord& record, const std::filesystem::path& images) {
  std::error_code failure;
  const auto whole = [&failure](const std::filesystem::path& path) {
    return failure ? path : std::filesystem::weakly_canonical(std::filesystem::absolute(path), failure);
  };
  const std::filesystem::path inner = whole(record.directory), outer = whole(images);
  if (!failure && std::ranges::mismatch(outer, inner).in1 == outer.end())
    throw Error(ErrorKind::kInput, {.path = record.directory.string(),
                                    .what = "is inside the images, whose folders are classes",
                                    .remedy = "choose --out elsewhere"});
}

void begin(const RequestRecord& record) {
  const Json json = {{"format", "vitrine " + record.command}, {"version", 1}, {"request", record.request}};
  publish(record.file(), json.dump(2) + "\n");
}

FileLock lock_of(const RequestRecord& record) {
  FileLock lock = FileLock::on_file(record.file());
  if (lock.try_lock() == FileLock::Outcome::kHeldByAnother)
    throw Error(ErrorKind::kInput, {.path = record.directory.string(),
                                    .what = "another process is working there",
                                    .remedy = "wait for its end, or choose another --out"});
  return lock;
}

}  // namespace vitrine
