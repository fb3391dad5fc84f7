#include "common/image/index_record.h"

#include <algorithm>

#include "common/base/files.h"
#include "common/base/format_version.h"
#include "common/base/json.h"

namespace vitrine {
namespace {

constexpr const char* kFormat = "vitrine index record";
constexpr std::uint64_t kVersion = 1;

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
  record.counts = {number("rotated"), number("deep_grey"), number("looked_at")};
  if (const auto share = json.value("hold_out", nlohmann::json()); share.is_number())
    record.hold_out = std::clamp(share.get<double>(), 0.0, 1.0);
  return record;
}

void write_index_record(const std::filesystem::path& directory, const std::string& index_hash,
                        const IndexRecord& record) {
  if (read_index_record(directory, index_hash) == record) return;
  nlohmann::ordered_json json = {{"format", kFormat},
                                 {"version", kVersion},
                                 {"index", index_hash},
                                 {"depth", name_of(record.depth)},
                                 {"looked_at", record.counts.looked_at},
                                 {"rotated", record.counts.rotated},
                                 {"deep_grey", record.counts.grey16}};
  if (record.hold_out > 0) json["hold_out"] = record.hold_out;
  publish(directory / kIndexRecordFile, json.dump(2) + "\n");
}

}  // namespace vitrine
