// The cost of reading in allocations, memory and system calls; counted, not timed.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/cache/container_writer.h"
#include "common/cache/shard_directory.h"
#include "tests/cache/sample.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::atomic<std::uint64_t> allocations = 0;
std::atomic<std::int64_t> live_bytes = 0;

// The size is stored before the block, so that frees can be counted too.
constexpr std::size_t kHead = alignof(std::max_align_t);

}  // namespace

void* operator new(std::size_t size) {
  void* block = std::malloc(size + kHead);
  if (block == nullptr) throw std::bad_alloc();
  *static_cast<std::size_t*>(block) = size;
  ++allocations;
  live_bytes += static_cast<std::int64_t>(size);
  return static_cast<char*>(block) + kHead;
}
void operator delete(void* pointer) noexcept {
  if (pointer == nullptr) return;
  void* block = static_cast<char*>(pointer) - kHead;
  live_bytes -= static_cast<std::int64_t>(*static_cast<std::size_t*>(block));
  std::free(block);
}
void operator delete(void* pointer, std::size_t) noexcept {
  operator delete(pointer);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  void* block = std::aligned_alloc(static_cast<std::size_t>(alignment), size);
  if (block == nullptr) throw std::bad_alloc();
  ++allocations;
  return block;
}
void operator delete(void* pointer, std::align_val_t) noexcept {
  std::free(pointer);
}
void operator delete(void* pointer, std::size_t, std::align_val_t) noexcept {
  std::free(pointer);
}

// System calls that stat files, under all names used by the libraries.
std::atomic<std::uint64_t> looks = 0;

extern "C" {
int stat(const char* path, struct stat* status) {
  ++looks;
  return static_cast<int>(::syscall(SYS_newfstatat, AT_FDCWD, path, status, 0));
}
int lstat(const char* path, struct stat* status) {
  ++looks;
  return static_cast<int>(::syscall(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW));
}
int fstatat(int directory, const char* path, struct stat* status, int flags) {
  ++looks;
  return static_cast<int>(::syscall(SYS_newfstatat, directory, path, status, flags));
}
}

TEST_CASE("a shard directory is listed without opening or stat-ing files, until sizes are requested") {
  const TemporaryDirectory directory;
  constexpr std::uint64_t kShards = 50;
  for (std::uint64_t number = 0; number < kShards; ++number) write_whole(directory / shard_file_name(number), "12345");
  const std::uint64_t before = looks;
  const ShardDirectory shard_directory(directory.path(), nullptr);
  CHECK(shard_directory.count() == kShards);
  CHECK(shard_directory.holds(kShards - 1));
  CHECK(shard_directory.complete_passes({.groups_per_pass = 10, .shard_groups = 1, .group_views = 1}).size() == 5);
  CHECK(looks - before < 5);
  CHECK(shard_directory.stored_bytes() == 5 * kShards);
  CHECK(looks - before >= kShards);  // it does count
  const std::uint64_t measured = looks;
  CHECK(shard_directory.stored_bytes() == 5 * kShards);
  CHECK(looks == measured);

  std::vector<FileRecord> made;
  for (std::uint64_t number = 0; number < kShards; ++number) made.push_back({shard_file_name(number), 5, number});
  const std::uint64_t listing = looks;
  CHECK(refresh_manifest(directory.path(), made, {.sizes = false}).files().size() == kShards);
  CHECK(looks - listing < 20);
}

TEST_CASE("a file whose number is beyond the last pass counts for none, and is not read as another pass's") {
  const TemporaryDirectory directory;
  PlanOptions options = sample_options();
  options.shard_groups = 3;
  const Plan plan(sample_index(11), options);
  REQUIRE(plan.shards_per_pass() == 1);
  write_sample(directory.path(), plan, 1);
  const std::uint64_t stray = std::uint64_t{1} << 32;  // 0 as a 32-bit number
  const std::filesystem::path recipes = directory / "recipes", track = directory / sample_tracks(plan)[0].directory();
  for (const std::filesystem::path& folder : {recipes, track})
    std::filesystem::copy_file(folder / "00000.h5", folder / shard_file_name(stray));
  const Cache whole(directory.path());
  CHECK(whole.recipe_passes() == std::vector<std::uint32_t>{0});
  CHECK_THROWS_WITH_AS(whole.recipe_directory().open(stray), doctest::Contains("4294967296"), Error);
  const TrackReader reader(whole, whole.track("logits", "tiny"));
  CHECK_THROWS_WITH_AS(reader.shard_directory().open(stray), doctest::Contains("4294967296"), Error);
  for (const std::filesystem::path& folder : {recipes, track}) std::filesystem::remove(folder / "00000.h5");
  const Cache without(directory.path());
  CHECK(without.recipe_passes().empty());
  CHECK_FALSE(TrackReader(without, without.track("logits", "tiny")).has_pass(0));
}

TEST_CASE("complete passes are computed once, and reading valid recipes builds no messages") {
  const TemporaryDirectory directory;
  PlanOptions options = sample_options();
  options.group = 64;
  const Plan plan(sample_index(200), options);
  write_sample(directory.path(), plan, 2);
  const Cache cache(directory.path());
  const TrackReader reader(cache, cache.tracks()[0]);
  std::uint64_t before = allocations;
  CHECK(reader.has_pass(1));
  CHECK_FALSE(reader.has_pass(2));
  CHECK(reader.passes().size() == 2);
  CHECK(cache.recipe_passes().size() == 2);
  CHECK(allocations == before);
  cache.recipes({0, 0});
  before = allocations;
  cache.recipes({0, 0});
  CHECK(allocations - before < 64);  // less than one a recipe
}

TEST_CASE("after warm-up, reading any encoding allocates nothing, also across files and tracks") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(40), sample_options());  // 10 groups in 5 shards, more than a scratch keeps open
  write_sample(directory.path(), plan, 2);
  const Cache cache(directory.path());
  std::vector<TrackReader> readers;
  std::vector<std::vector<float>> out;
  for (const TrackInfo& track : cache.tracks()) {
    readers.emplace_back(cache, track);
    out.emplace_back(track.view_values() * plan.options().group);
  }
  REQUIRE(readers.size() >= 4);
  TrackReader::Scratch scratch;
  const auto read_everything = [&] {
    for (std::uint32_t group = 0; group < plan.groups_per_pass(); ++group)
      for (std::uint32_t pass = 0; pass < 2; ++pass)
        for (std::size_t i = 0; i < readers.size(); ++i)
          readers[i].read({pass, (group * 7 + 3) % plan.groups_per_pass()}, scratch, out[i]);
  };
  const std::uint64_t cold = allocations;
  read_everything();
  const std::uint64_t warm = allocations;
  read_everything();
  CHECK(warm > cold);  // it does count
  CHECK(allocations == warm);
}

TEST_CASE("a thousand open shards take less than 200 bytes of memory a group") {
  const TemporaryDirectory directory;
  constexpr std::uint64_t kShards = 1000, kGroups = 64, kViews = 4;
  const std::vector<std::byte> q(kViews * 6), scale(kViews * 4);
  DatasetSpec values{"q", "|i1", {kGroups * kViews, 6}, kViews, {}},
      scales{"scale", "<f4", {kGroups * kViews}, kViews, {}};
  for (std::uint64_t g = 0; g < kGroups; ++g) values.chunks.emplace_back(q), scales.chunks.emplace_back(scale);
  write_container(directory / "track/00000.h5", {values, scales}, "{\"about\": \"" + std::string(1000, 'x') + "\"}", 1);
  for (std::uint64_t s = 1; s < kShards; ++s)
    std::filesystem::create_hard_link(directory / "track/00000.h5", directory.path() / "track" / shard_file_name(s));

  const std::int64_t before = live_bytes;
  const ShardDirectory shard_directory(directory / "track",
                                       [](const Container& file, std::uint64_t) { CHECK(!file.json().empty()); });
  for (const std::uint64_t number : shard_directory.numbers()) shard_directory.open(number);
  const double a_group = static_cast<double>(live_bytes - before) / (kShards * kGroups);
  MESSAGE("bytes of memory a group: ", a_group);
  CHECK(shard_directory.count() == kShards);
  CHECK(a_group < 200);
  CHECK(a_group > 2 * 20);  // a group has two chunks, and each has an offset, a size and a hash

  Container::Scratch scratch;
  std::vector<std::byte> out(kViews * 6);
  shard_directory.open(kShards - 1).read_chunk(0, kGroups - 1, scratch, out);
  CHECK(out == q);
}

TEST_CASE("concurrent opens of a shard share one container, and a bad shard is refused in every thread") {
  const TemporaryDirectory directory;
  const std::vector<std::byte> bytes(8);
  for (int i = 0; i < 16; ++i)
    write_container(directory.path() / shard_file_name(static_cast<std::uint64_t>(i)), {{"q", "|u1", {8}, 8, {bytes}}},
                    "{}", 1);
  const ShardDirectory shard_directory(directory.path(), [](const Container&, std::uint64_t number) {
    if (number == 7) fail("number 7 does not belong here");
  });
  std::vector<std::vector<const Container*>> seen(4, std::vector<const Container*>(16));
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (std::vector<const Container*>& mine : seen)
    threads.emplace_back([&] {
      for (std::uint64_t number = 0; number < 16; ++number) try {
          mine[number] = &shard_directory.open(number);
        } catch (const Error&) {
          ++refused;
        }
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& other : seen) CHECK(other == seen[0]);
  CHECK(refused == 4);
  CHECK(seen[0][7] == nullptr);
}

TEST_CASE("a Scratch detects that its open file was replaced") {
  const TemporaryDirectory directory;
  std::vector<std::byte> bytes(3000), out(3000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i >> 3);
  const std::filesystem::path path = directory / "a.h5";
  const auto replace = [&](std::size_t size) {
    write_container(directory / "other.h5",
                    {{"q", "|u1", {size}, static_cast<std::uint32_t>(size), {std::span(bytes).first(size)}}}, "{}", 1);
    std::filesystem::rename(directory / "other.h5", path);
  };
  Container::Scratch scratch;
  for (const std::size_t size : {3000u, 2000u, 3000u}) {
    replace(size);
    const Container file(path);
    file.read_chunk(0, 0, scratch, std::span(out).first(size));
    CHECK(std::equal(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size), bytes.begin()));
  }
  const Container file(path);
  replace(8);
  Container::Scratch fresh;
  CHECK_THROWS_WITH_AS(file.read_chunk(0, 0, fresh, out), doctest::Contains("the file changed while it was in use"),
                       Error);
}

TEST_CASE("a file that was replaced by one of equal size changed, and is not damaged") {
  const TemporaryDirectory directory;
  const std::filesystem::path path = directory / "a.h5";
  std::vector<std::byte> out(3000);
  const auto write = [&](const std::filesystem::path& to, std::uint32_t seed) {
    std::vector<std::byte> noise(out.size());  // not compressible
    for (std::byte& value : noise) value = static_cast<std::byte>((seed = seed * 1664525 + 1013904223) >> 24);
    write_container(to, {{"q", "|u1", {noise.size()}, static_cast<std::uint32_t>(noise.size()), {noise}}}, "{}", 1);
  };
  const auto kind_of_refusal = [&](const Container& file) {
    Container::Scratch scratch;
    try {
      file.read_chunk(0, 0, scratch, out);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  write(path, 1);
  const Container file(path);
  write(directory / "same.h5", 1);
  std::filesystem::rename(directory / "same.h5", path);
  CHECK_FALSE(file.was_replaced());
  CHECK((kind_of_refusal(file) == ErrorKind::kInternal));
  write(directory / "other.h5", 2);
  std::filesystem::rename(directory / "other.h5", path);
  REQUIRE(file_bytes(path) == file.file_bytes());
  CHECK(file.was_replaced());
  CHECK((kind_of_refusal(file) == ErrorKind::kIo));
  const Container other(path);
  std::string damaged = read_whole(path);
  damaged[other.place(0, 0).offset] ^= 1;
  write_whole(path, damaged);
  CHECK((kind_of_refusal(other) == ErrorKind::kCorrupt));
}
