#include "common/cache/shard_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/format_version.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/base/progress.h"
#include "common/cache/damaged.h"

namespace vitrine {

std::string shard_file_name(std::uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%05llu.h5", static_cast<unsigned long long>(number));
  return name;
}

ShardDirectory::ShardDirectory(std::filesystem::path directory, Check check)
    : directory_(std::move(directory)), check_(std::move(check)), numbers_(list_shard_numbers(directory_)) {
  slots_.reserve(numbers_.size());
  for (const std::uint64_t number : numbers_) slots_.try_emplace(number);
}

std::uint64_t ShardDirectory::stored_bytes() const {
  std::call_once(measured_, [&] {
    for (const std::uint64_t number : numbers_) {
      std::error_code none;
      const std::uint64_t bytes = std::filesystem::file_size(directory_ / shard_file_name(number), none);
      if (!none) stored_bytes_ += bytes;
    }
  });
  return stored_bytes_;
}

const Container& ShardDirectory::open(std::uint64_t number) const {
  const auto found = slots_.find(number);
  if (found == slots_.end())
    throw Error(ErrorKind::kInput, {.path = (directory_ / shard_file_name(number)).string(),
                                    .what = "is missing",
                                    .remedy = "extract or copy it, or use passes that are complete"});
  std::atomic<const Container*>& slot = found->second.container;
  if (const Container* container = slot.load(std::memory_order_acquire)) return *container;
  // Two threads may get here; the later one discards its result.
  auto container = std::make_unique<Container>(directory_ / shard_file_name(number));
  check_(*container, number);
  {
    const std::lock_guard lock(opening_);
    container->shrink(datasets_);
  }
  const Container* there = nullptr;
  if (!slot.compare_exchange_strong(there, container.get(), std::memory_order_acq_rel)) return *there;
  return *container.release();
}

std::vector<std::uint32_t> ShardDirectory::complete_passes(const ShardLayout& layout) const {
  std::map<std::uint64_t, std::uint32_t> there;
  for (const std::uint64_t number : numbers_)
    if (layout.has_pass_of(number)) ++there[layout.pass_of(number)];
  std::vector<std::uint32_t> passes;
  for (const auto& [pass, shards] : there)
    if (shards == layout.shards_per_pass()) passes.push_back(static_cast<std::uint32_t>(pass));
  return passes;
}

std::vector<std::uint64_t> list_shard_numbers(const std::filesystem::path& directory) {
  std::vector<std::uint64_t> numbers;
  if (!path_exists(directory)) return numbers;
  for (const DirectoryEntry& entry : list_directory(directory))
    if (const auto number = shard_number_of(entry.name); number && entry.kind != DirectoryEntry::Kind::kDangling)
      numbers.push_back(*number);
  std::ranges::sort(numbers);
  return numbers;
}

namespace {

constexpr const char* kShardsFormat = "vitrine shards";
constexpr int kShardsVersion = 1;
constexpr const char* kRebuild = "rebuild it with vitrine-cache repair";

bool by_number(const FileRecord& a, const FileRecord& b) {
  return *shard_number_of(a.name) < *shard_number_of(b.name);
}

std::uint64_t from_hex(const std::string& digits, const std::string& where) {
  std::uint64_t number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  if (digits.size() != 16 || read.ec != std::errc() || read.ptr != digits.data() + digits.size())
    fail_damaged(where, text("\"", digits, "\" is not an XXH3-64 hash; expected 16 hexadecimal digits"), kRebuild);
  return number;
}

// Name and, if `sizes`, size of every existing shard, ascending by number.
std::vector<FileRecord> list_shards(const std::filesystem::path& directory, bool sizes) {
  std::vector<FileRecord> there;
  for (const std::uint64_t number : list_shard_numbers(directory)) {
    FileRecord file{shard_file_name(number), 0, 0};
    // Files removed meanwhile and non-files are not shards; one that cannot be examined may be a shard.
    if (sizes && !file_exists(directory / file.name)) continue;
    if (sizes) file.bytes = file_bytes(directory / file.name);
    there.push_back(std::move(file));
  }
  return there;
}

bool lists(const Manifest& manifest, const std::vector<FileRecord>& there, bool sizes) {
  return std::ranges::equal(manifest.files(), there, [&](const FileRecord& a, const FileRecord& b) {
    return a.name == b.name && (!sizes || a.bytes == b.bytes);
  });
}

std::string json_of(const FileRecord& file) {
  return text("{\"name\": \"", file.name, "\", \"bytes\": ", file.bytes, ", \"xxh3\": \"", hexadecimal(file.hash),
              "\"}");
}

constexpr std::string_view kLogBegin = "shards.", kLogEnd = ".jsonl";

struct Log {
  std::filesystem::path path;
  std::string lines;
};

std::vector<Log> read_logs(const std::filesystem::path& directory) {
  std::vector<Log> logs;
  if (!directory_exists(directory)) return logs;
  for (const DirectoryEntry& entry : list_directory(directory)) {
    if (!entry.name.starts_with(kLogBegin) || !entry.name.ends_with(kLogEnd)) continue;
    const std::filesystem::path path = directory / entry.name;
    try {
      logs.push_back({path, read_file(path)});
    } catch (const Error&) {
      if (path_exists(path)) throw;  // else another process has merged it
    }
  }
  return logs;
}

// nullopt for a line that was cut off when a process or machine died; its file is read instead.
std::optional<FileRecord> record_of(const std::string& line) {
  const auto in = parse_json(line);
  try {
    const auto name = in.at("name").get<std::string>(), hash = in.at("xxh3").get<std::string>();
    const auto bytes = integer_of<std::uint64_t>(in.at("bytes"));
    if (!shard_number_of(name) || !bytes) return std::nullopt;
    return FileRecord{name, *bytes, from_hex(hash, name)};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

using Records = std::unordered_map<std::string, FileRecord>;

// Merges all lists of a directory, and the files that the caller wrote. Conflicting records are dropped, as each may be
// of an earlier file, and their names are added to `disputed`.
Records merged(const std::optional<Manifest>& manifest, const std::vector<Log>& logs,
               const std::vector<FileRecord>& made, std::set<std::string>& disputed) {
  Records records;
  if (manifest)
    for (const FileRecord& file : manifest->files()) records.emplace(file.name, file);
  for (const FileRecord& file : made)
    if (records.emplace(file.name, file).first->second != file) disputed.insert(file.name);
  for (const Log& log : logs) {
    std::istringstream lines(log.lines);
    for (std::string line; std::getline(lines, line);)
      if (const std::optional<FileRecord> file = record_of(line))
        if (const auto known = records.emplace(file->name, *file).first; known->second != *file)
          disputed.insert(file->name);
  }
  for (const std::string& name : disputed) records.erase(name);
  return records;
}

Records merged(const std::optional<Manifest>& manifest, const std::vector<Log>& logs) {
  std::set<std::string> disputed;
  return merged(manifest, logs, {}, disputed);
}

// Keeps logs that have grown since they were read, for the next merge.
void remove_merged(const std::vector<Log>& logs) {
  for (const Log& log : logs) {
    std::error_code gone;
    const std::uintmax_t bytes = std::filesystem::file_size(log.path, gone);
    if (!gone && bytes == log.lines.size()) std::filesystem::remove(log.path, gone);
  }
}

// Fills in the hashes of the files `there`, from `known`, else from `listed`, else by reading the file and adding it to
// `known`, until `stop`. Returns the files with known hashes.
std::vector<FileRecord> with_hashes(const std::filesystem::path& directory, const std::vector<FileRecord>& there,
                                    const Records& listed, const RefreshOptions& options, Records& known) {
  const auto record_for = [&](const FileRecord& file) -> const FileRecord* {
    for (const Records* records : {const_cast<const Records*>(&known), &listed})
      if (const auto found = records->find(file.name);
          found != records->end() && (!options.sizes || found->second.bytes == file.bytes))
        return &found->second;
    return nullptr;
  };
  std::vector<FileRecord> out, unlisted;
  for (const FileRecord& file : there) {
    if (const FileRecord* record = record_for(file))
      out.push_back(*record);
    else
      unlisted.push_back(file);
  }
  if (unlisted.empty()) return out;
  const auto stopped = [&] { return options.stop != nullptr && *options.stop; };
  const std::string count = text(directory.string(), ": ", unlisted.size(), " finished files are in no list");
  if (!stopped()) note(count + "; reading them for their hashes");
  std::size_t read = 0;
  for (; read < unlisted.size() && !stopped(); ++read)
    out.push_back(known[unlisted[read].name] = describe_file(directory / unlisted[read].name));
  if (read < unlisted.size())
    note(text(count, read > 0 ? text(", ", read, " of them were read") : "", "; the next run reads the others"));
  return out;
}

}  // namespace

Manifest::Manifest(std::vector<FileRecord> files) : files_(std::move(files)) {
  for (const FileRecord& file : files_)
    if (!shard_number_of(file.name)) throw std::logic_error(file.name + " is not a shard's name");
  if (!std::ranges::is_sorted(files_, by_number)) std::ranges::sort(files_, by_number);
  for (std::size_t i = 1; i < files_.size(); ++i)
    if (files_[i].name == files_[i - 1].name) throw std::logic_error(files_[i].name + " is listed twice");
}

std::optional<Manifest> Manifest::read(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kManifestName;
  if (!path_exists(path)) return std::nullopt;
  return parse(read_file(path), path.string());
}

Manifest Manifest::parse(const std::string& json, const std::string& where) {
  const auto in = parse_json(json);
  if (!in.is_object() || in.value("format", nlohmann::json()) != kShardsFormat)
    fail_damaged(where, text("is not a list of shards, an object with \"format\": \"", kShardsFormat, "\""), kRebuild);
  check_format_version(in, where, kShardsVersion);
  std::vector<FileRecord> files;
  std::set<std::string> seen;
  try {
    for (const auto& entry : in.at("shards")) {
      const auto name = entry.at("name").get<std::string>();
      const auto bytes = integer_of<std::uint64_t>(entry.at("bytes"));
      if (!bytes) fail_damaged(where, text("has no size in bytes for \"", name, "\""), kRebuild);
      files.push_back({name, *bytes, from_hex(entry.at("xxh3").get<std::string>(), where)});
      if (!shard_number_of(name) || !seen.insert(name).second)
        fail_damaged(where, text("lists \"", name, "\", which is not a shard's name or is listed twice"), kRebuild);
    }
  } catch (const nlohmann::json::exception& problem) {
    fail_damaged(where, text("cannot be read (", problem.what(), ")"), kRebuild);
  }
  return Manifest(std::move(files));
}

std::optional<Manifest> Manifest::read_all(const std::filesystem::path& directory) {
  std::optional<Manifest> manifest = read(directory);
  const std::vector<Log> logs = read_logs(directory);
  if (logs.empty()) return manifest;
  std::vector<FileRecord> files;
  for (auto& [name, file] : merged(manifest, logs)) files.push_back(file);
  return Manifest(std::move(files));
}

const FileRecord* Manifest::find(const std::string& name) const {
  const FileRecord wanted{name, 0, 0};
  if (!shard_number_of(name)) return nullptr;
  const auto found = std::ranges::lower_bound(files_, wanted, by_number);
  return found == files_.end() || found->name != name ? nullptr : &*found;
}

std::string Manifest::json() const {
  std::string out =
      text("{\n  \"format\": \"", kShardsFormat, "\",\n  \"version\": ", kShardsVersion, ",\n  \"shards\": [");
  const char* between = "\n";
  for (const FileRecord& file : files_) {
    out += text(between, "    ", json_of(file));
    between = ",\n";
  }
  return out + (files_.empty() ? "" : "\n  ") + "]\n}\n";
}

ManifestDifference compare_manifest(const Manifest& manifest, const std::filesystem::path& directory, bool contents) {
  ManifestDifference out;
  const std::vector<FileRecord> there = list_shards(directory, true);
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

ShardLog::ShardLog(const std::filesystem::path& directory) {
  std::random_device source;
  path_ = directory / text(kLogBegin, hexadecimal(std::uint64_t{source()} << 32 | source()), kLogEnd);
}

void ShardLog::append(const FileRecord& record) const {
  // Reopened each time, as the file may have been merged and removed; a single write, to keep lines intact.
  const std::string line = json_of(record) + "\n";
  const auto refuse = [&](int reason) {
    fail_system(reason, path_.string(), "cannot be written",
                "make room on its disk and run again, what was finished before stays");
  };
  const int descriptor = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) refuse(errno);
  const ssize_t written = ::write(descriptor, line.data(), line.size());
  const int reason = written < 0 ? errno : ENOSPC;  // a short write is a full disk
  ::close(descriptor);
  if (written != static_cast<ssize_t>(line.size())) refuse(reason);
}

Manifest refresh_manifest(const std::filesystem::path& directory, const std::vector<FileRecord>& made,
                          const RefreshOptions& options) {
  Records known;  // accumulates, so that no file is read twice
  for (const FileRecord& record : made) known[record.name] = record;
  for (bool published = false;; published = true) {
    const std::optional<Manifest> old = Manifest::read(directory);
    const std::vector<Log> logs = read_logs(directory);
    const std::vector<FileRecord> there = list_shards(directory, options.sizes);
    if (there.empty() && !old) {
      remove_merged(logs);
      return Manifest();
    }
    const bool whole = published && old && lists(*old, there, options.sizes);
    Manifest now = whole ? *old : Manifest(with_hashes(directory, there, merged(old, logs), options, known));
    if (old == now) {
      remove_merged(logs);
      return now;
    }
    publish(directory / kManifestName, now.json());
  }
}

bool merge_lists(const std::filesystem::path& directory, const OwnShare& share) {
  const auto stopped = [&] { return share.stop != nullptr && *share.stop; };
  const std::optional<Manifest> old = Manifest::read(directory);
  const std::vector<Log> logs = read_logs(directory);
  const std::vector<FileRecord> there = list_shards(directory, false);
  // Recipes are replaced when more views are left out, by any process: what lists say of them differs then.
  std::set<std::string> disputed;
  Records records = merged(old, logs, share.made, disputed);
  for (const FileRecord& file : there)
    if (disputed.contains(file.name)) records[file.name] = describe_file(directory / file.name);

  std::uint64_t wanted = 0;
  bool others_are_listed = true;
  std::vector<FileRecord> unlisted;
  for (const FileRecord& file : there) {
    const std::uint64_t number = *shard_number_of(file.name);
    if (number >= share.first && number < share.past) ++wanted;
    if (records.contains(file.name)) continue;
    if (share.is_own(number))
      unlisted.push_back(file);
    else
      others_are_listed = false;
  }
  if (!unlisted.empty() && !stopped())
    note(text(directory.string(), ": ", unlisted.size(),
              " finished files are in no list; reading them for their hashes"));
  const ShardLog log(directory);
  for (const FileRecord& file : unlisted) {
    if (stopped()) return false;
    const FileRecord record = describe_file(directory / file.name);
    log.append(record);
    records[file.name] = record;
  }
  if (!others_are_listed || wanted < share.past - share.first) return false;

  std::vector<FileRecord> files;
  for (const FileRecord& file : there) files.push_back(records.at(file.name));
  if (const Manifest now(std::move(files)); old != now) publish(directory / kManifestName, now.json());
  remove_merged(logs);
  if (!unlisted.empty()) remove_file(log.path());
  return true;
}

}  // namespace vitrine
