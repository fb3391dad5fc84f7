// Damage to a shard, one bit or one byte at a time, gives an error that names the file or leaves the values unchanged.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include "common/base/philox.h"
#include "tests/faults/shards.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::atomic<std::size_t> largest_request = 0;

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  if (size > largest_request) largest_request = size;
  if (void* block = std::malloc(size)) return block;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}

namespace {

// Meaningful bytes: the table and the stored chunks. The rest is HDF5 metadata, which this reader ignores.
std::vector<bool> meaningful(const std::string& bytes, const std::filesystem::path& path) {
  std::vector<bool> marks(bytes.size());
  const auto mark = [&](std::uint64_t first, std::uint64_t count) {
    std::fill_n(marks.begin() + static_cast<std::ptrdiff_t>(first), count, true);
  };
  mark(0, table::at<std::uint64_t>(bytes, table::kTableBytesAt));
  const Container file(path);
  for (std::size_t d = 0; d < file.datasets().size(); ++d)
    for (std::uint64_t c = 0; c < file.datasets()[d].chunk_count; ++c)
      mark(file.place(d, c).offset, file.place(d, c).bytes);
  return marks;
}

// Flips a bit, reads everything, flips it back. Returns whether the outcome is right.
bool holds(std::string& bytes, std::size_t bit, bool matters, const Outcome& good, MemoryFile& file) {
  const char mask = static_cast<char>(1 << bit % 8);
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
  file.hold(bytes);
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
  const Outcome outcome = read_everything(file.path());
  if (matters) return outcome.error.starts_with(file.path().string() + ": ") && outcome.kind == ErrorKind::kCorrupt;
  return outcome.error.empty() && outcome.hash == good.hash;
}

template <class Number>
std::string with(std::string bytes, std::size_t offset, Number value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
  forge_checksums(bytes, false);
  return bytes;
}

}  // namespace

TEST_CASE("every flipped bit of a small shard is an error in the table or a chunk, and has no effect elsewhere") {
  std::string bytes = shard_bytes(2);
  MemoryFile file;
  file.hold(bytes);
  const Outcome good = read_everything(file.path());
  REQUIRE(good.error.empty());
  const std::vector<bool> matters = meaningful(bytes, file.path());
  CHECK(std::ranges::count(matters, true) > 600);
  CHECK(std::ranges::count(matters, false) > 600);
  std::size_t wrong = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) wrong += !holds(bytes, bit, matters[bit / 8], good, file);
  CHECK(wrong == 0);
}

TEST_CASE("flipped bits sampled over a larger shard are errors or have no effect") {
  std::string bytes = shard_bytes(48, 1500);
  MemoryFile file;
  file.hold(bytes);
  const Outcome good = read_everything(file.path());
  REQUIRE(good.error.empty());
  REQUIRE(bytes.size() > 200000);
  const std::vector<bool> matters = meaningful(bytes, file.path());
  RandomStream stream(11, Purpose::kSample);
  std::size_t wrong = 0;
  for (int i = 0; i < 1500; ++i) {
    const std::size_t bit = stream.below(bytes.size() * 8);
    wrong += !holds(bytes, bit, matters[bit / 8], good, file);
  }
  CHECK(wrong == 0);
}

TEST_CASE("a truncated shard is an error: at every byte of a small one, at every 4 KiB of a larger one") {
  MemoryFile file;
  for (const auto& [groups, width, step] : {std::tuple(2u, 6u, 1u), std::tuple(48u, 1500u, 4096u)}) {
    const std::string bytes = shard_bytes(groups, width);
    std::size_t unnoticed = 0;
    for (std::size_t size = 0; size < bytes.size(); size += step) {
      file.hold(std::string_view(bytes).substr(0, size));
      const Outcome outcome = read_everything(file.path());
      unnoticed += !outcome.error.starts_with(file.path().string() + ": ") || outcome.kind != ErrorKind::kCorrupt;
    }
    CHECK(unnoticed == 0);
    file.hold(bytes + "more");
    CHECK(has(read_everything(file.path()).error, "bytes, expected"));
  }
}

TEST_CASE("carefully forged tables are refused, and nothing is allocated for their claims") {
  using namespace table;
  const std::string good = shard_bytes(2);
  const std::size_t datasets = kHeaderBytes, chunks = datasets + 3 * kDatasetBytes;
  constexpr std::uint64_t kHuge = ~0ull - 7;
  const auto first_offset = at<std::uint64_t>(good, chunks);
  struct Forgery {
    const char* what;
    std::string bytes;
    const char* expected;
  };
  std::string all_holes = good;
  all_holes.resize(1 << 22);
  const std::vector<Forgery> forgeries{
      {"a table near 2^64", with(good, kTableBytesAt, kHuge), "does not fit into its user block"},
      {"a user block near 2^64", with(good, kUserBlockAt, kHuge), "does not fit into its user block"},
      {"a file near 2^64", with(good, kFileBytesAt, kHuge), "bytes, expected"},
      {"chunks near 2^64", with(good, kChunksAt, kHuge), "do not add up"},
      {"chunks whose bytes overflow to the right sum", with(good, kChunksAt, 6 + (1ull << 61)), "do not add up"},
      {"one chunk less", with(good, kChunksAt, std::uint64_t{5}), "do not add up"},
      {"2^32 - 1 datasets", with(good, kDatasetsAt, ~0u), "do not add up"},
      {"2^32 - 1 bytes of JSON", with(good, kJsonBytesAt, ~0u), "do not add up"},
      {"rows near 2^64", with(good, datasets + 56, kHuge), "impossible size"},
      {"an axis near 2^64", with(good, datasets + 64, kHuge), "impossible size"},
      {"an axis that makes a row of 2^64 bytes and more", with(good, datasets + 64, 1ull << 63), "impossible size"},
      {"a chunk of 4 GiB", with(good, datasets + 52, ~0u), "impossible size"},
      {"no axes", with(good, datasets + 48, 0u), "is invalid"},
      {"nine axes", with(good, datasets + 48, 9u), "is invalid"},
      {"an axis of 0", with(good, datasets + 64, std::uint64_t{0}), "impossible shape"},
      {"rows of no chunk", with(good, datasets + 52, 0u), "impossible size"},
      {"a first chunk that is another's", with(good, datasets + kDatasetBytes + 120, std::uint64_t{0}), "not its own"},
      {"a first chunk near 2^64", with(good, datasets + 120, kHuge), "not its own"},
      {"chunks of a dataset near 2^64", with(good, datasets + 128, kHuge), "does not fit its shape"},
      {"two datasets of one name", with(good, datasets + kDatasetBytes, at<std::array<char, 32>>(good, datasets)),
       "is listed twice"},
      {"a name that does not end", with(good, datasets, std::array<char, 4>{'q', 0, 'x', 0}), "is invalid"},
      {"an unknown type", with(good, datasets + 32, std::array<char, 4>{'<', 'f', '9', 0}), "is invalid"},
      {"a chunk beyond the end", with(good, chunks, std::uint64_t{good.size()}), "impossible place"},
      {"a chunk near 2^64", with(good, chunks, kHuge), "impossible place"},
      {"a chunk in the table", with(good, chunks, std::uint64_t{8}), "impossible place"},
      {"stored bytes near 2^32", with(good, chunks + 8, ~0u), "impossible place"},
      {"raw bytes near 2^32", with(good, chunks + 12, ~0u), "impossible place"},
      {"two chunks in one place", with(good, chunks + kChunkBytes, first_offset), "overlap"},
      {"two chunks that share a byte",
       with(good, chunks + kChunkBytes, first_offset + at<std::uint32_t>(good, chunks + 8) - 1), "overlap"},
      {"a file with a long tail", with(all_holes, kFileBytesAt, std::uint64_t{good.size()}), "bytes, expected"},
  };
  MemoryFile file;
  for (const Forgery& forgery : forgeries) {
    CAPTURE(forgery.what);
    file.hold(forgery.bytes);
    largest_request = 0;
    const Outcome outcome = read_everything(file.path());
    const std::size_t most = largest_request;
    CAPTURE(outcome.error);
    CHECK(has(outcome.error, forgery.expected));
    CHECK(outcome.kind == ErrorKind::kCorrupt);
    CHECK(most < 4096);
  }
}

TEST_CASE("a chunk that claims more than zstd could hold is refused before memory is allocated") {
  using namespace table;
  // One dataset of one chunk: q, 8 bytes. Its description grows to 2 GiB a chunk.
  const TemporaryDirectory directory;
  const std::vector<std::byte> q(8);
  write_container(directory / "a.h5", {{"q", "|u1", {8}, 8, {q}}}, "{}", 1);
  std::string bytes = read_whole(directory / "a.h5");
  const std::uint32_t rows = 1u << 31;
  bytes = with(with(with(bytes, kHeaderBytes + 52, rows), kHeaderBytes + 56, std::uint64_t{rows}),
               kHeaderBytes + kDatasetBytes + 12, rows);
  MemoryFile file;
  file.hold(bytes);
  largest_request = 0;
  const Outcome outcome = read_everything(file.path());
  const std::size_t most = largest_request;
  CHECK(has(outcome.error, "impossible place or size"));
  CHECK(most < 4096);
}

TEST_CASE("a valid frame with another number of bytes is an error even with valid checksums") {
  using namespace table;
  const std::string good = shard_bytes(2);
  const std::size_t chunks = kHeaderBytes + 3 * kDatasetBytes;
  std::string bytes = good;
  // The first chunk (of q, 24 bytes) takes the place of a payload (40 bytes) and the other way round.
  const auto entry = at<std::array<char, 12>>(good, chunks);
  const auto other = at<std::array<char, 12>>(good, chunks + 4 * kChunkBytes);
  std::memcpy(bytes.data() + chunks, other.data(), other.size());
  std::memcpy(bytes.data() + chunks + 4 * kChunkBytes, entry.data(), entry.size());
  forge_checksums(bytes, true);
  MemoryFile file;
  file.hold(bytes);
  CHECK(has(read_everything(file.path()).error, "dataset q, group 0: cannot be decompressed"));
}

TEST_CASE("a future version or flag is newer if the table's checksum covers it, else damage") {
  using namespace table;
  const std::string good = shard_bytes(2);
  MemoryFile file;
  const auto kind = [&](const std::string& bytes) {
    file.hold(bytes);
    const Outcome outcome = read_everything(file.path());
    CHECK(!outcome.error.empty());
    return outcome.kind;
  };
  const auto flags = at<std::uint32_t>(good, kRequiredAt) | 1u << 31;
  CHECK(kind(with(good, kVersionAt, std::uint16_t{3})) == ErrorKind::kNewer);
  CHECK(kind(with(good, kRequiredAt, flags)) == ErrorKind::kNewer);
  std::string changed = good;
  std::memcpy(changed.data() + kVersionAt, "\3", 1);
  CHECK(kind(changed) == ErrorKind::kCorrupt);
  changed = good;
  std::memcpy(changed.data() + kRequiredAt, &flags, sizeof flags);
  CHECK(kind(changed) == ErrorKind::kCorrupt);
  // Another version's table may have another layout, so a mismatch of our checksum proves nothing.
  changed = with(good, kVersionAt, std::uint16_t{3});
  changed[kTableBytesAt] = '\x7f';
  CHECK(kind(changed) == ErrorKind::kNewer);
}
