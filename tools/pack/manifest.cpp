#include "tools/pack/manifest.h"

#include <charconv>
#include <set>
#include <stdexcept>

#include "common/base/error.h"
#include "common/base/format_version.h"
#include "common/base/hash.h"
#include "common/base/json_fields.h"
#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/cache/teacher_classes.h"
#include "common/cache/teacher_score.h"
#include "common/cache/track.h"
#include "common/image/index_record.h"
#include "common/image/left_out.h"
#include "tools/pack/tar.h"

namespace vitrine {
namespace {

constexpr const char* kFormat = "vitrine pack";
constexpr int kVersion = 1;
// Sums of sizes below it do not overflow, and no file system holds more.
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 56;

bool is_shard_or(std::string_view name, std::initializer_list<std::string_view> others) {
  for (const std::string_view other : others)
    if (name == other) return true;
  return shard_number_of(std::string(name)).has_value();
}

// The names of teachers and tracks: nothing that is hidden, leads upwards or needs quotes in JSON.
bool is_plain_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
  return !name.empty() && name[0] != '.' && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::string with_files(const std::string& plan_hash, const std::vector<FileRecord>& files) {
  std::string out = text("{\n  \"format\": \"", kFormat, "\",\n  \"version\": ", kVersion, ",\n  \"plan\": \"",
                         plan_hash, "\",\n  \"files\": [");
  const char* between = "\n";
  for (const FileRecord& file : files) {
    out += text(between, "    {\"path\": \"", file.name, "\", \"bytes\": ", file.bytes, ", \"xxh3\": \"",
                hexadecimal(file.hash), "\"}");
    between = ",\n";
  }
  return with_check(out + "\n  ]\n}\n");
}

std::uint64_t hash_of(const JsonFields& file) {
  const std::string digits = file.words("xxh3");
  std::uint64_t hash = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), hash, 16);
  if (digits.size() != 16 || read.ec != std::errc() || read.ptr != digits.data() + digits.size())
    file.damaged(text("\"", digits, "\" is not a hash"));
  return hash;
}

}  // namespace

bool is_pack_path(std::string_view path) {
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos)
    return path == kCardFile || path == "index.h5" || path == "plan.json" || path == kIndexRecordFile ||
           path == kLeftOutFile;
  const std::string_view first = path.substr(0, slash), rest = path.substr(slash + 1);
  if (first == "recipes") return is_shard_or(rest, {kManifestName});
  if (!is_plain_name(first) || !is_teacher_directory(std::string(first))) return false;
  if (rest == kTeacherScoreFile || rest == kTeacherClassesFile) return true;
  const std::size_t next = rest.find('/');
  return next != std::string_view::npos && is_plain_name(rest.substr(0, next)) &&
         is_shard_or(rest.substr(next + 1), {"track.json", "basis.h5", kManifestName});
}

PackManifest::PackManifest(std::string plan_hash, std::vector<FileRecord> files)
    : plan_hash_(std::move(plan_hash)), files_(std::move(files)) {
  std::set<std::string_view> seen;
  for (const FileRecord& file : files_)
    if (!is_pack_path(file.name) || !seen.insert(file.name).second || file.bytes >= kMaxFileBytes)
      throw std::logic_error(file.name + " does not belong in a pack, or is listed twice");
  json_ = with_files(plan_hash_, files_);
  head_ = tar_header(kPackFile, json_.size()) + json_;
  head_.append(tar_padding(json_.size()), '\0');
  std::uint64_t end = head_.size();
  for (const FileRecord& file : files_) {
    offsets_.push_back(end);
    end += tar_header(file.name, file.bytes).size() + file.bytes + tar_padding(file.bytes);
  }
  offsets_.push_back(end);
}

PackManifest PackManifest::parse(const std::string& json, const std::string& where) {
  const auto in = parse_json<nlohmann::ordered_json>(json);
  const JsonFields fields(in, where);
  if (fields.words("format") != kFormat) fields.damaged(text("is not of the format \"", kFormat, "\""));
  check_format_version(in, where, kVersion);
  const std::string plan_hash = fields.words("plan");
  if (!is_sha256(plan_hash)) fields.damaged("names no plan");
  std::vector<FileRecord> files;
  std::set<std::string> seen;
  std::uint64_t total = 0;
  for (const nlohmann::ordered_json& entry : fields.array("files")) {
    const JsonFields file(entry, where, "files.");
    const std::string path = file.words("path");
    const auto shown = nlohmann::json(path).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    if (!is_pack_path(path)) file.damaged(text(shown, " is not the path of a cache's file"));
    if (!seen.insert(path).second) file.damaged(text(shown, " is listed twice"));
    files.push_back({path, file.integer<std::uint64_t>("bytes"), hash_of(file)});
    if (files.back().bytes >= kMaxFileBytes || (total += files.back().bytes) >= kMaxFileBytes)
      file.damaged("the files are larger than any disk");
  }
  PackManifest manifest(plan_hash, std::move(files));
  if (manifest.json() != json) fields.damaged("its check is wrong, or it has keys that this version does not write");
  return manifest;
}

std::uint64_t PackManifest::tar_bytes() const {
  return offsets_.back() + kTarEndBytes;
}

}  // namespace vitrine
