#include "common/cache/manifest.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/cache/shard_name.h"

namespace vitrine {
namespace {

constexpr const char* kFormat = "vitrine shards";
constexpr int kVersion = 1;

bool by_number(const FileRecord& a, const FileRecord& b) {
  return *shard_number_of(a.name) < *shard_number_of(b.name);
}

std::uint64_t from_hex(const std::string& digits, const std::string& where) {
  std::uint64_t number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  if (digits.size() != 16 || read.ec != std::errc() || read.ptr != digits.data() + digits.size())
    fail(where, ": \"", digits, "\" is no XXH3-64 hash; expected 16 hexadecimal digits, let vitrine-cache repair it");
  return number;
}

// Name and size of every shard that is there, ascending by number.
std::vector<FileRecord> list_shards(const std::filesystem::path& directory) {
  std::vector<FileRecord> there;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(directory, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (!shard_number_of(name)) continue;
    std::error_code gone;  // removed since it was listed
    const std::uint64_t bytes = entry->file_size(gone);
    if (!gone) there.push_back({name, bytes, 0});
  }
  if (failure) fail(directory.string(), ": cannot be listed (", failure.message(), ")");
  std::ranges::sort(there, by_number);
  return there;
}

bool lists(const Manifest& manifest, const std::vector<FileRecord>& there) {
  return std::ranges::equal(manifest.files(), there, [](const FileRecord& a, const FileRecord& b) {
    return a.name == b.name && a.bytes == b.bytes;
  });
}

}  // namespace

FileRecord describe_file(const std::filesystem::path& path) {
  const auto [bytes, hash] = xxh3_of_file(path);
  return {path.filename().string(), bytes, hash};
}

Manifest::Manifest(std::vector<FileRecord> files) : files_(std::move(files)) {
  for (const FileRecord& file : files_)
    if (!shard_number_of(file.name)) throw std::logic_error(file.name + " is no shard's name");
  std::ranges::sort(files_, by_number);
  for (std::size_t i = 1; i < files_.size(); ++i)
    if (files_[i].name == files_[i - 1].name) throw std::logic_error(files_[i].name + " is listed twice");
}

std::optional<Manifest> Manifest::read(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kManifestName;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return parse(read_file(path), path.string());
}

Manifest Manifest::parse(const std::string& json, const std::string& where) {
  const auto in = parse_json(json);
  if (!in.is_object() || in.value("format", nlohmann::json()) != kFormat)
    fail(where, ": is no list of shards; expected an object with \"format\": \"", kFormat,
         "\"; remove it, it can be made again");
  if (in.value("version", nlohmann::json()) != kVersion)
    fail(where, ": has a version that this program does not know; use the version of vitrine that made the cache");
  std::vector<FileRecord> files;
  std::set<std::string> seen;
  try {
    for (const auto& entry : in.at("shards")) {
      const auto name = entry.at("name").get<std::string>();
      const auto bytes = integer_of<std::uint64_t>(entry.at("bytes"));
      if (!bytes) fail(where, ": gives \"", name, "\" no number of bytes; remove the list, it can be made again");
      files.push_back({name, *bytes, from_hex(entry.at("xxh3").get<std::string>(), where)});
      if (!shard_number_of(name) || !seen.insert(name).second)
        fail(where, ": lists \"", name, "\", which is no shard's name or is listed twice; remove the list, it can be ",
             "made again");
    }
  } catch (const nlohmann::json::exception& problem) {
    fail(where, ": cannot be read (", problem.what(), "); remove it, it can be made again");
  }
  return Manifest(std::move(files));
}

const FileRecord* Manifest::find(const std::string& name) const {
  const FileRecord wanted{name, 0, 0};
  if (!shard_number_of(name)) return nullptr;
  const auto found = std::ranges::lower_bound(files_, wanted, by_number);
  return found == files_.end() || found->name != name ? nullptr : &*found;
}

std::string Manifest::json() const {
  std::string out = text("{\n  \"format\": \"", kFormat, "\",\n  \"version\": ", kVersion, ",\n  \"shards\": [");
  const char* between = "\n";
  for (const FileRecord& file : files_) {
    out += text(between, "    {\"name\": \"", file.name, "\", \"bytes\": ", file.bytes, ", \"xxh3\": \"",
                hexadecimal(file.hash), "\"}");
    between = ",\n";
  }
  return out + (files_.empty() ? "" : "\n  ") + "]\n}\n";
}

ManifestDifference compare_manifest(const Manifest& manifest, const std::filesystem::path& directory, bool contents) {
  ManifestDifference out;
  const std::vector<FileRecord> there = list_shards(directory);
  auto at = there.begin();
  for (const FileRecord& listed : manifest.files()) {
    for (; at != there.end() && by_number(*at, listed); ++at) out.unlisted.push_back(at->name);
    if (at == there.end() || at->name != listed.name) {
      out.missing.push_back(listed.name);
      continue;
    }
    if (at->bytes != listed.bytes || (contents && describe_file(directory / listed.name) != listed))
      out.changed.push_back(listed.name);
    ++at;
  }
  for (; at != there.end(); ++at) out.unlisted.push_back(at->name);
  return out;
}

Manifest refresh_manifest(const std::filesystem::path& directory, const std::vector<FileRecord>& made,
                          const StopFlag& stop) {
  std::unordered_map<std::string, FileRecord> known;  // grows: no file is read twice
  for (const FileRecord& record : made) known[record.name] = record;
  for (bool published = false;; published = true) {
    const std::optional<Manifest> old = Manifest::read(directory);
    std::vector<FileRecord> there = list_shards(directory);
    if (there.empty() && !old) return Manifest();
    if (published && old && lists(*old, there)) return *old;
    for (FileRecord& file : there) {
      const auto own = known.find(file.name);
      const FileRecord* record = own == known.end() ? nullptr : &own->second;
      if (record == nullptr && old) record = old->find(file.name);
      if (record == nullptr || record->bytes != file.bytes) {
        throw_if_stopped(stop, "while finished shards were listed");
        record = &(known[file.name] = describe_file(directory / file.name));
      }
      file = *record;
    }
    Manifest now(std::move(there));
    if (old == now) return now;
    publish(directory / kManifestName, now.json());
  }
}

}  // namespace vitrine
