#include "common/cache/container.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/cache/damaged.h"

namespace vitrine {
namespace {

constexpr std::size_t kFirstRead = 16384;      // most tables fit
constexpr std::uint64_t kMaxTable = 1u << 30;  // a sparse file may have any size
constexpr std::uint32_t kMaxDatasets = 256;
constexpr std::size_t kMaxSeen = 16;               // in shrink()
constexpr std::uint32_t kMaxExpansion = 1u << 15;  // of zstd: a block of 4 bytes gives 128 KiB

constexpr const char* kWrongChecksum = "its table's checksum is wrong";
constexpr const char* kDamaged = "the file is damaged, copy or make it again";

// a * b, or nullopt when it does not fit into 63 bits.
std::optional<std::uint64_t> times(std::optional<std::uint64_t> a, std::uint64_t b) {
  constexpr std::uint64_t kLimit = std::numeric_limits<std::int64_t>::max();
  if (!a || (b != 0 && *a > kLimit / b)) return std::nullopt;
  return *a * b;
}

// Parses a name in a field of fixed size: letters, digits and some punctuation, padded with zeros.
std::optional<std::string> fixed_text(std::string_view field) {
  const std::size_t end = std::min(field.find('\0'), field.size());
  if (end == 0 || field.find_first_not_of('\0', end) != std::string_view::npos) return std::nullopt;
  for (const char c : field.substr(0, end))
    if (c <= ' ' || c > '~') return std::nullopt;
  return std::string(field.substr(0, end));
}

// Whether the table's checksum is right with `value` in the header at `offset`, which proves that only this field of a
// file of this version was changed.
template <class Number>
bool is_whole_with(const ReadableFile& file, std::string_view header, std::size_t offset, Number value) {
  using namespace table;
  const auto bytes = at<std::uint64_t>(header, kTableBytesAt);
  if (bytes < kHeaderBytes + kChecksumBytes || bytes > std::min(file.size(), kMaxTable)) return false;
  std::string whole(bytes, '\0');
  file.read(0, std::as_writable_bytes(std::span(whole)));
  std::memcpy(whole.data() + offset, &value, sizeof value);
  const std::size_t hashed = whole.size() - kChecksumBytes;
  return xxh3(std::string_view(whole).substr(0, hashed)) == at<std::uint64_t>(whole, hashed);
}

struct Header {
  std::uint64_t table_bytes, chunks;
  std::uint32_t datasets, json_bytes;
};

Header check_header(std::string_view bytes, const ReadableFile& file) {
  using namespace table;
  const std::string& path = file.path();
  if (bytes.size() < kHeaderBytes || bytes.substr(0, kMagic.size()) != kMagic)
    throw Error(ErrorKind::kCorrupt, {.path = path,
                                      .what = "is not a file of a vitrine cache (it does not begin with VITRINE)",
                                      .remedy = "check the path"});
  const auto major = at<std::uint16_t>(bytes, kVersionAt), minor = at<std::uint16_t>(bytes, kVersionAt + 2);
  if (major != kFormatMajor && is_whole_with(file, bytes, kVersionAt, kFormatMajor))
    fail_damaged(path, kWrongChecksum, kDamaged);
  check_format_version(major, text(major, ".", minor), path);
  const auto flags = at<std::uint32_t>(bytes, kRequiredAt), unknown = flags & ~kKnownRequiredFlags;
  if (unknown != 0 && is_whole_with(file, bytes, kRequiredAt, flags & kKnownRequiredFlags))
    fail_damaged(path, kWrongChecksum, kDamaged);
  if (unknown != 0)
    throw Error(ErrorKind::kNewer,
                {.path = path,
                 .what = text("needs features that this program does not know (flags ", unknown, ")"),
                 .remedy = "use a newer vitrine"});
  const Header header{at<std::uint64_t>(bytes, kTableBytesAt), at<std::uint64_t>(bytes, kChunksAt),
                      at<std::uint32_t>(bytes, kDatasetsAt), at<std::uint32_t>(bytes, kJsonBytesAt)};
  const auto user_block = at<std::uint64_t>(bytes, kUserBlockAt), file_bytes = at<std::uint64_t>(bytes, kFileBytesAt);
  if (file_bytes != file.size())
    fail_damaged(path, text("has ", file.size(), " bytes, expected ", file_bytes), kDamaged);
  if (user_block > file_bytes || header.table_bytes > user_block || header.table_bytes > kMaxTable)
    fail_damaged(path, text("its table of ", header.table_bytes, " bytes does not fit into its user block"), kDamaged);
  // Compares each part first, so that the sum cannot overflow.
  const std::uint64_t table_bytes = header.table_bytes;
  if (header.datasets > kMaxDatasets || header.datasets > table_bytes / kDatasetBytes ||
      header.chunks > table_bytes / kChunkBytes || header.json_bytes > table_bytes ||
      table_bytes != kHeaderBytes + header.datasets * kDatasetBytes + header.chunks * kChunkBytes + header.json_bytes +
                         kChecksumBytes)
    fail_damaged(path, "the sizes in its table do not add up", kDamaged);
  return header;
}

DatasetInfo parse_dataset(std::string_view bytes, const std::string& path) {
  using namespace table;
  DatasetInfo info;
  const auto name = fixed_text(bytes.substr(0, kNameBytes)), dtype = fixed_text(bytes.substr(kNameBytes, kDtypeBytes));
  const auto rank = at<std::uint32_t>(bytes, kNameBytes + kDtypeBytes);
  if (!name || !dtype || !item_bytes(*dtype) || rank == 0 || rank > kMaxRank)
    fail_damaged(path, "a dataset's description is invalid", kDamaged);
  info.name = *name, info.dtype = *dtype;
  info.chunk_rows = at<std::uint32_t>(bytes, 52);
  std::optional<std::uint64_t> row = item_bytes(info.dtype), all;
  for (std::size_t axis = 0; axis < kMaxRank; ++axis) {
    const auto length = at<std::uint64_t>(bytes, 56 + 8 * axis);
    if ((axis < rank) != (length != 0))
      fail_damaged(path, text("dataset ", info.name, " has an impossible shape"), kDamaged);
    if (axis < rank) info.shape.push_back(length);
    if (axis > 0 && axis < rank) row = times(row, length);
  }
  all = times(row, info.shape[0]);
  const auto chunk = times(row, info.chunk_rows);
  if (!all || !chunk || *chunk == 0 || *chunk > std::numeric_limits<std::uint32_t>::max())
    fail_damaged(path, text("dataset ", info.name, " has an impossible size"), kDamaged);
  info.first_chunk = at<std::uint64_t>(bytes, 120);
  info.chunk_count = at<std::uint64_t>(bytes, 128);
  if (info.chunk_count != (info.shape[0] - 1) / info.chunk_rows + 1)
    fail_damaged(path, text("dataset ", info.name, " has ", info.chunk_count, " chunks, which does not fit its shape"),
                 kDamaged);
  return info;
}

Datasets parse_datasets(std::string_view bytes, const Header& header, const std::string& path) {
  Datasets datasets;
  std::uint64_t next_chunk = 0;
  for (std::uint32_t i = 0; i < header.datasets; ++i) {
    DatasetInfo info = parse_dataset(bytes.substr(i * table::kDatasetBytes, table::kDatasetBytes), path);
    if (info.first_chunk != next_chunk || info.chunk_count > header.chunks - next_chunk)
      fail_damaged(path, text("dataset ", info.name, " claims chunks that are not its own"), kDamaged);
    for (const DatasetInfo& other : datasets)
      if (other.name == info.name) fail_damaged(path, text("dataset ", info.name, " is listed twice"), kDamaged);
    next_chunk += info.chunk_count;
    datasets.push_back(std::move(info));
  }
  if (next_chunk != header.chunks) fail_damaged(path, "it has chunks that belong to no dataset", kDamaged);
  return datasets;
}

}  // namespace

std::optional<std::uint64_t> item_bytes(std::string_view dtype) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 9> kKnown{
      {{"<f4", 4}, {"<f2", 2}, {"|i1", 1}, {"|u1", 1}, {"<i2", 2}, {"<u2", 2}, {"<u4", 4}, {"<u8", 8}, {"|V40", 40}}};
  for (const auto& [name, bytes] : kKnown)
    if (dtype == name) return bytes;
  return std::nullopt;
}

std::uint64_t DatasetInfo::row_bytes() const {
  std::uint64_t bytes = *item_bytes(dtype);
  for (std::size_t axis = 1; axis < shape.size(); ++axis) bytes *= shape[axis];
  return bytes;
}

Container::Container(const std::filesystem::path& path) : path_(path.string()) {
  using namespace table;
  const ReadableFile file(path);
  file_bytes_ = file.size(), inode_ = file.inode();
  std::array<char, kFirstRead> first;
  const std::size_t have = std::min<std::uint64_t>(first.size(), file_bytes_);
  file.read(0, std::as_writable_bytes(std::span(first).first(have)));
  const Header header = check_header({first.data(), have}, file);
  std::string long_table;
  if (header.table_bytes > have) {
    long_table.resize(header.table_bytes);
    file.read(0, std::as_writable_bytes(std::span(long_table)));
  }
  const std::string_view whole =
      long_table.empty() ? std::string_view(first.data(), header.table_bytes) : std::string_view(long_table);
  table_hash_ = xxh3(whole.substr(0, whole.size() - kChecksumBytes));
  if (table_hash_ != at<std::uint64_t>(whole, whole.size() - kChecksumBytes))
    fail_damaged(path_, kWrongChecksum, kDamaged);

  std::string_view rest = whole.substr(kHeaderBytes);
  datasets_ = std::make_shared<const Datasets>(parse_datasets(rest, header, path_));
  rest.remove_prefix(header.datasets * kDatasetBytes);
  chunks_.reserve(header.chunks);
  for (const DatasetInfo& info : *datasets_)
    for (std::uint64_t c = 0; c < info.chunk_count; ++c, rest.remove_prefix(kChunkBytes)) {
      const auto offset = at<std::uint64_t>(rest, 0), hash = at<std::uint64_t>(rest, 16);
      const auto stored = at<std::uint32_t>(rest, 8), raw = at<std::uint32_t>(rest, 12);
      if (offset < header.table_bytes || offset > file_bytes_ || stored > file_bytes_ - offset ||
          raw != info.chunk_bytes() || raw / kMaxExpansion > stored)
        fail_damaged(path_, text("chunk ", c, " of dataset ", info.name, " has an impossible place or size"), kDamaged);
      chunks_.push_back({offset, hash, stored});
    }
  check_apart();
  json_ = rest.substr(0, header.json_bytes);
}

void Container::check_apart() const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> places;
  places.reserve(chunks_.size());
  for (const Chunk& chunk : chunks_) places.emplace_back(chunk.offset, chunk.offset + chunk.stored_bytes);
  std::ranges::sort(places);
  for (std::size_t i = 1; i < places.size(); ++i)
    if (places[i].first < places[i - 1].second)
      fail_damaged(path_, text("its chunks overlap at byte ", places[i].first), kDamaged);
}

std::size_t Container::find(const std::string& name) const {
  for (std::size_t i = 0; i < datasets_->size(); ++i)
    if ((*datasets_)[i].name == name) return i;
  throw Error(ErrorKind::kInput, {.path = path_,
                                  .what = text("has no dataset \"", name, "\""),
                                  .remedy = "it is not the file that its name says, copy or make it again"});
}

Container::Place Container::place(std::size_t dataset, std::uint64_t chunk) const {
  const DatasetInfo& info = datasets_->at(dataset);
  if (chunk >= info.chunk_count) throw std::out_of_range(text("chunk ", chunk, " of dataset ", info.name));
  const Chunk& entry = chunks_[info.first_chunk + chunk];
  return {entry.offset, entry.stored_bytes};
}

// Returns the scratch's open file of this container, moved to the front.
const ReadableFile& Container::opened(Scratch& scratch) const {
  auto& files = scratch.files;
  const auto found = std::ranges::find_if(
      files, [this](const ReadableFile& file) { return file.inode() == inode_ && file.path() == path_; });
  const auto place = found == files.end() ? files.end() - 1 : found;
  if (found == files.end()) place->open(path_);
  std::rotate(files.begin(), place, place + 1);
  return files.front();
}

void Container::read_chunk(std::size_t dataset, std::uint64_t chunk, Scratch& scratch, std::span<std::byte> out,
                           Check check) const {
  const DatasetInfo& info = datasets_->at(dataset);
  const auto refuse = [&](ErrorKind kind, std::string what, const char* remedy) {
    throw Error(kind, {.path = path_,
                       .dataset = info.name,
                       .group = static_cast<std::int64_t>(chunk),
                       .what = std::move(what),
                       .remedy = remedy});
  };
  if (chunk >= info.chunk_count)
    refuse(ErrorKind::kInput, text("does not exist; the dataset has ", info.chunk_count), "");
  if (out.size() != info.chunk_bytes())
    refuse(ErrorKind::kInput, text("has ", info.chunk_bytes(), " bytes; expected ", out.size()), "");
  const Chunk& entry = chunks_[info.first_chunk + chunk];
  const ReadableFile& file = opened(scratch);
  // The file may have been replaced since the table was read.
  const auto refuse_changed = [&] { refuse(ErrorKind::kIo, kChangedInUse, "start again"); };
  if (file.size() != file_bytes_) refuse_changed();
  const std::span<std::byte> stored = scratch.stored.first(entry.stored_bytes);
  file.read(entry.offset, stored);
  if (xxh3(stored) != entry.hash) {
    if (was_replaced()) refuse_changed();
    refuse(ErrorKind::kCorrupt, "its checksum is wrong", kDamaged);
  }
  if (const char* problem = scratch.decompressor.try_decompress(stored, out, check == Check::kBoth))
    refuse(ErrorKind::kCorrupt, text("cannot be decompressed (", problem, ")"), kDamaged);
}

void Container::shrink(std::vector<std::shared_ptr<const Datasets>>& seen) {
  json_ = {};
  const auto equal = std::ranges::find_if(seen, [this](const auto& other) { return *other == *datasets_; });
  if (equal != seen.end())
    datasets_ = *equal;
  else if (seen.size() < kMaxSeen)
    seen.push_back(datasets_);
}

std::vector<std::byte> Container::read_all(std::size_t dataset, Scratch& scratch) const {
  const DatasetInfo& info = datasets_->at(dataset);
  std::vector<std::byte> rows, chunk(info.chunk_bytes());
  std::uint64_t left = info.row_bytes() * info.shape[0];
  for (std::uint64_t c = 0; c < info.chunk_count; ++c) {
    read_chunk(dataset, c, scratch, chunk);
    const std::uint64_t use = std::min<std::uint64_t>(left, chunk.size());
    rows.insert(rows.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(use));
    left -= use;
  }
  return rows;
}

nlohmann::ordered_json attributes(const Container& container, const std::string& format) {
  auto json = parse_json<nlohmann::ordered_json>(container.json());
  if (!json.is_object() || json.value("format", nlohmann::ordered_json()) != format)
    throw Error(ErrorKind::kInput, {.path = container.path().string(),
                                    .what = text("is not a file of the kind \"", format, "\""),
                                    .remedy = "copy or make it again"});
  return json;
}

void expect(const Container& container, const nlohmann::ordered_json& json, const char* key,
            const nlohmann::ordered_json& expected) {
  const auto found = json.value(key, nlohmann::ordered_json());
  if (found != expected)
    throw Error(ErrorKind::kInput, {.path = container.path().string(),
                                    .what = text("has ", key, " ", found.dump(), ", expected ", expected.dump()),
                                    .remedy = kElsewhere});
}

void expect_dataset(const Container& container, const std::string& name, const std::string& dtype,
                    const std::vector<std::uint64_t>& shape, std::uint32_t chunk_rows) {
  const DatasetInfo& info = container.datasets()[container.find(name)];
  if (info.dtype != dtype || info.shape != shape || info.chunk_rows != chunk_rows)
    throw Error(ErrorKind::kInput, {.path = container.path().string(),
                                    .what = text("dataset ", name, " has an unexpected type or shape"),
                                    .remedy = "copy or make it again"});
}

}  // namespace vitrine
