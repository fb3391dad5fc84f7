#include "common/image/index_record.h"

#include <algorithm>

#include "common/base/files.h"
#include "common/base/format_version.h"
#include "common/base/json.h"

namespace vitrine {
namespace {

constexpr const char* kFormat = "vitrine index record";
constexpr std::uint64_t kVersion = 1;

std::string record_text(const std::string& index_hash, const IndexRecord& record) {
  nlohmann::ordered_json json = {{"format", kFormat},
                                 {"version", kVersion},
                                 {"index", index_hash},
                                 {"depth", name_of(record.depth)},
                                 {"looked_at", record.counts.looked_at},
                                 {"rotated", record.counts.rotated},
                                 {"grey16", record.counts.grey16}};
  if (record.hold_out > 0) json["hold_out"] = record.hold_out;
  if (record.copied) json["copied"] = true;
  return json.dump(2) + "\n";
}

}  // namespace

const char* name_of(IndexDepth depth) {
  return depth == IndexDepth::kDecode ? "decode" : "headers";
}

std::optional<IndexRecord> read_index_record(const std::filesystem::path& directory, const std::string& index_hash) {
  const std::filesystem::path path = directory / kIndexRecordFile;
  if (!path_exists(path)) return std::nullopt;
  const auto json = parse_json(read_file(path));
  if (!json.is_object() || json.value("format", nlohmann::json()) != kFormat) return std::nullopt;
  const auto version = integer_of<std::uint64_t>(json.value("version", nlohmann::json())).value_or(0);
  if (version < kVersion) return std::nullopt;
  check_format_version(version, std::to_string(version), path.string(), kVersion);
  if (json.value("index", nlohmann::json()) != index_hash) return std::nullopt;
  const auto number = [&](const char* key) {
    return integer_of<std::uint64_t>(json.value(key, nlohmann::json())).value_or(0);
  };
  IndexRecord record;
  if (json.value("depth", nlohmann::json()) == name_of(IndexDepth::kDecode)) record.depth = IndexDepth::kDecode;
  record.counts = {number("rotated"), number("grey16"), number("looked_at")};
  if (const auto share = json.value("hold_out", nlohmann::json()); share.is_number())
    record.hold_out = std::clamp(share.get<double>(), 0.0, 1.0);
  record.copied = json.value("copied", nlohmann::json()) == true;
  return record;
}

void write_index_record(const std::filesystem::path& directory, const std::string& index_hash,
                        const IndexRecord& record) {
  if (read_index_record(directory, index_hash) == record) return;
  publish(directory / kIndexRecordFile, record_text(index_hash, record));
}

std::optional<std::string> copied_index_record(const std::filesystem::path& directory, const std::string& index_hash) {
  std::optional<IndexRecord> record = read_index_record(directory, index_hash);
  if (!record) return std::nullopt;
  record->copied = true;
  return record_text(index_hash, *record);
}

bool has_own_index_record(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kIndexRecordFile;
  if (!path_exists(path)) return false;
  const auto json = parse_json(read_file(path));
  return !json.is_object() || json.value("copied", nlohmann::json()) != true;
}

}  // namespace vitrine
