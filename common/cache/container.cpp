#include "common/cache/container.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/cache/table.h"

namespace vitrine {
namespace {

constexpr std::size_t kFirstRead = 65536;  // holds most tables whole

[[noreturn]] void damaged(const std::filesystem::path& path, const std::string& what) {
  fail(path.string(), ": ", what, "; the file is damaged, copy or make it again");
}

// a * b, or nothing when it does not fit into 63 bits.
std::optional<std::uint64_t> times(std::optional<std::uint64_t> a, std::uint64_t b) {
  constexpr std::uint64_t kLimit = std::numeric_limits<std::int64_t>::max();
  if (!a || (b != 0 && *a > kLimit / b)) return std::nullopt;
  return *a * b;
}

// A name in a field of fixed size: letters, digits and a few signs, then zeros to the end.
std::optional<std::string> fixed_text(std::string_view field) {
  const std::size_t end = std::min(field.find('\0'), field.size());
  if (end == 0 || field.find_first_not_of('\0', end) != std::string_view::npos) return std::nullopt;
  for (const char c : field.substr(0, end))
    if (c <= ' ' || c > '~') return std::nullopt;
  return std::string(field.substr(0, end));
}

struct Header {
  std::uint64_t table_bytes, chunks;
  std::uint32_t datasets, json_bytes;
};

Header check_header(std::string_view bytes, const ReadableFile& file) {
  using namespace table;
  const std::filesystem::path& path = file.path();
  if (bytes.size() < kHeaderBytes || bytes.substr(0, kMagic.size()) != kMagic)
    fail(path.string(), ": is not a file of a vitrine cache (it does not begin with VITRINE); check the path");
  const auto major = at<std::uint16_t>(bytes, kVersionAt), minor = at<std::uint16_t>(bytes, kVersionAt + 2);
  if (major != kMajor)
    fail(path.string(), ": has format version ", major, ".", minor, ", this program reads ", kMajor,
         ".x; use the version of vitrine that made the cache");
  if (const auto unknown = at<std::uint32_t>(bytes, kRequiredAt) & ~kKnownRequiredFlags; unknown != 0)
    fail(path.string(), ": needs features that this program does not know (flags ", unknown, "); use a newer vitrine");
  const Header header{at<std::uint64_t>(bytes, kTableBytesAt), at<std::uint64_t>(bytes, kChunksAt),
                      at<std::uint32_t>(bytes, kDatasetsAt), at<std::uint32_t>(bytes, kJsonBytesAt)};
  const auto user_block = at<std::uint64_t>(bytes, kUserBlockAt), file_bytes = at<std::uint64_t>(bytes, kFileBytesAt);
  if (file_bytes != file.size()) damaged(path, text("has ", file.size(), " bytes, expected ", file_bytes));
  if (user_block > file_bytes || header.table_bytes > user_block)
    damaged(path, text("its table of ", header.table_bytes, " bytes does not lie in its user block"));
  // Each part is compared before the sum, so that the sum cannot overflow.
  const std::uint64_t room = header.table_bytes;
  if (header.datasets > room / kDatasetBytes || header.chunks > room / kChunkBytes || header.json_bytes > room ||
      room != kHeaderBytes + header.datasets * kDatasetBytes + header.chunks * kChunkBytes + header.json_bytes +
                  kChecksumBytes)
    damaged(path, "the sizes in its table do not add up");
  return header;
}

DatasetInfo parse_dataset(std::string_view bytes, const std::filesystem::path& path) {
  using namespace table;
  DatasetInfo info;
  const auto name = fixed_text(bytes.substr(0, kNameBytes)), dtype = fixed_text(bytes.substr(kNameBytes, kDtypeBytes));
  const auto rank = at<std::uint32_t>(bytes, kNameBytes + kDtypeBytes);
  if (!name || !dtype || !item_bytes(*dtype) || rank == 0 || rank > kMaxRank)
    damaged(path, "a dataset's description makes no sense");
  info.name = *name, info.dtype = *dtype;
  info.chunk_rows = at<std::uint32_t>(bytes, 52);
  std::optional<std::uint64_t> row = item_bytes(info.dtype), all;
  for (std::size_t axis = 0; axis < kMaxRank; ++axis) {
    const auto length = at<std::uint64_t>(bytes, 56 + 8 * axis);
    if ((axis < rank) != (length != 0)) damaged(path, text("dataset ", info.name, " has an impossible shape"));
    if (axis < rank) info.shape.push_back(length);
    if (axis > 0 && axis < rank) row = times(row, length);
  }
  all = times(row, info.shape[0]);
  const auto chunk = times(row, info.chunk_rows);
  if (!all || !chunk || *chunk == 0 || *chunk > std::numeric_limits<std::uint32_t>::max())
    damaged(path, text("dataset ", info.name, " has an impossible size"));
  info.first_chunk = at<std::uint64_t>(bytes, 120);
  info.chunk_count = at<std::uint64_t>(bytes, 128);
  if (info.chunk_count != (info.shape[0] - 1) / info.chunk_rows + 1)
    damaged(path, text("dataset ", info.name, " has ", info.chunk_count, " chunks, which does not fit its shape"));
  return info;
}

}  // namespace

std::optional<std::uint64_t> item_bytes(std::string_view dtype) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 7> kKnown{
      {{"<f4", 4}, {"<f2", 2}, {"|i1", 1}, {"|u1", 1}, {"<u4", 4}, {"<u8", 8}, {"|V40", 40}}};
  for (const auto& [name, bytes] : kKnown)
    if (dtype == name) return bytes;
  return std::nullopt;
}

std::uint64_t DatasetInfo::row_bytes() const {
  std::uint64_t bytes = *item_bytes(dtype);
  for (std::size_t axis = 1; axis < shape.size(); ++axis) bytes *= shape[axis];
  return bytes;
}

Container::Container(std::filesystem::path path) : path_(std::move(path)) {
  using namespace table;
  const ReadableFile file(path_);
  file_bytes_ = file.size();
  std::string bytes(std::min<std::uint64_t>(kFirstRead, file_bytes_), '\0');
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  const Header header = check_header(bytes, file);
  if (const std::size_t have = bytes.size(); header.table_bytes > have) {
    bytes.resize(header.table_bytes);
    file.read(have, std::as_writable_bytes(std::span(bytes)).subspan(have));
  }
  const std::string_view whole = std::string_view(bytes).substr(0, header.table_bytes);
  if (xxh3(whole.substr(0, whole.size() - kChecksumBytes)) != at<std::uint64_t>(whole, whole.size() - kChecksumBytes))
    damaged(path_, "its table's checksum is wrong");

  std::string_view rest = whole.substr(kHeaderBytes);
  std::uint64_t next_chunk = 0;
  for (std::uint32_t i = 0; i < header.datasets; ++i, rest.remove_prefix(kDatasetBytes)) {
    datasets_.push_back(parse_dataset(rest.substr(0, kDatasetBytes), path_));
    const DatasetInfo& info = datasets_.back();
    if (info.first_chunk != next_chunk || info.chunk_count > header.chunks - next_chunk)
      damaged(path_, text("dataset ", info.name, " claims chunks that are not its own"));
    for (std::uint32_t j = 0; j < i; ++j)
      if (datasets_[j].name == info.name) damaged(path_, text("dataset ", info.name, " is there twice"));
    next_chunk += info.chunk_count;
  }
  if (next_chunk != header.chunks) damaged(path_, "it has chunks that belong to no dataset");
  chunks_.reserve(header.chunks);
  for (const DatasetInfo& info : datasets_) {
    for (std::uint64_t c = 0; c < info.chunk_count; ++c, rest.remove_prefix(kChunkBytes)) {
      const Chunk chunk{at<std::uint64_t>(rest, 0), at<std::uint32_t>(rest, 8), at<std::uint32_t>(rest, 12),
                        at<std::uint64_t>(rest, 16)};
      if (chunk.offset < header.table_bytes || chunk.offset > file_bytes_ ||
          chunk.stored_bytes > file_bytes_ - chunk.offset || chunk.raw_bytes != info.chunk_bytes())
        damaged(path_, text("chunk ", c, " of dataset ", info.name, " has an impossible place or size"));
      chunks_.push_back(chunk);
    }
  }
  json_ = rest.substr(0, header.json_bytes);
}

std::size_t Container::find(const std::string& name) const {
  for (std::size_t i = 0; i < datasets_.size(); ++i)
    if (datasets_[i].name == name) return i;
  fail(path_.string(), ": has no dataset \"", name,
       "\"; it is not the file that its name promises, copy or make it again");
}

void Container::read_chunk(std::size_t dataset, std::uint64_t chunk, Scratch& scratch, std::span<std::byte> out) const {
  const DatasetInfo& info = datasets_.at(dataset);
  const auto where = [&] { return text(path_.string(), ": dataset ", info.name, ", group ", chunk); };
  if (chunk >= info.chunk_count) fail(where(), ": is not there; the dataset has ", info.chunk_count);
  if (out.size() != info.chunk_bytes()) fail(where(), ": has ", info.chunk_bytes(), " bytes; expected ", out.size());
  const Chunk& entry = chunks_[info.first_chunk + chunk];
  if (!scratch.file || scratch.file->path() != path_) {
    scratch.file.reset();
    scratch.file.emplace(path_);
  }
  // Another file under the same name since the table was read, perhaps one made anew.
  if (scratch.file->size() != file_bytes_) fail(where(), ": the file has changed while it was in use; start again");
  if (scratch.stored.size() < entry.stored_bytes) scratch.stored.resize(entry.stored_bytes);
  const std::span<std::byte> stored = std::span(scratch.stored).first(entry.stored_bytes);
  scratch.file->read(entry.offset, stored);
  if (xxh3(stored) != entry.hash) fail(where(), ": its checksum is wrong; the file is damaged, copy or make it again");
  scratch.decompressor.decompress(stored, out, where());
}

std::vector<std::byte> Container::read_all(std::size_t dataset, Scratch& scratch) const {
  const DatasetInfo& info = datasets_.at(dataset);
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

}  // namespace vitrine
