#include "common/cache/shard_directory.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <string>
#include <thread>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::read_whole;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;

namespace {

std::string content(int number) {
  return std::string(static_cast<std::size_t>(100 + number), static_cast<char>('a' + number % 26));
}

std::string name(int number) {
  std::string digits = std::to_string(number);
  return digits.insert(0, digits.size() < 5 ? 5 - digits.size() : 0, '0') + ".h5";
}

FileRecord record(int number) {
  return {name(number), content(number).size(), xxh3(content(number))};
}

std::vector<std::string> names(const Manifest& manifest) {
  std::vector<std::string> out;
  for (const FileRecord& file : manifest.files()) out.push_back(file.name);
  return out;
}

// Starts a process that publishes shards first, first + 2, ... below `end`, refreshing the manifest after each, and is
// killed after publishing `dies_after` of them, before listing the last. Returns its id.
pid_t extracting(const std::filesystem::path& directory, int first, int end, int dies_after) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int made = 0;
  std::vector<FileRecord> own;
  try {
    for (int number = first; number < end; number += 2) {
      publish(directory / name(number), content(number));
      own.push_back(record(number));
      if (++made == dies_after) ::raise(SIGKILL);
      refresh_manifest(directory, own);
    }
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace

TEST_CASE("a manifest lists existing shards by number in canonical text") {
  const TemporaryDirectory directory;
  CHECK(refresh_manifest(directory.path()).files().empty());
  CHECK_FALSE(std::filesystem::exists(directory / kManifestName));
  for (const int number : {12, 3, 100000, 99999}) write_whole(directory / name(number), content(number));
  for (const char* other : {"track.json", "basis.h5", "0012.h5", "000012.h5", "00004.h5.part.1.0"})
    write_whole(directory / other, "not a shard");

  const Manifest made = refresh_manifest(directory.path());
  CHECK((made.files() == std::vector<FileRecord>{record(3), record(12), record(99999), record(100000)}));
  CHECK((Manifest::read(directory.path()) == made));
  CHECK(read_whole(directory / kManifestName) == made.json());
  CHECK((Manifest({record(100000), record(3), record(99999), record(12)}) == made));
  REQUIRE(made.find("00012.h5") != nullptr);
  CHECK((*made.find("00012.h5") == record(12)));
  CHECK(made.find("00013.h5") == nullptr);
  CHECK(made.find("basis.h5") == nullptr);
  CHECK(compare_manifest(made, directory.path(), true).none());

  // The text in FORMAT.md.
  CHECK(Manifest({{"00007.h5", 9, 0xABC}}).json() ==
        "{\n  \"format\": \"vitrine shards\",\n  \"version\": 1,\n  \"shards\": [\n"
        "    {\"name\": \"00007.h5\", \"bytes\": 9, \"xxh3\": \"0000000000000abc\"}\n  ]\n}\n");
}

TEST_CASE("hashes come from the writer, else from the manifest, else from reading the file") {
  const TemporaryDirectory directory;
  for (const int number : {0, 1, 2}) write_whole(directory / name(number), content(number));
  const FileRecord told{name(1), content(1).size(), 42}, wrong_size{name(2), 1, 42};
  CHECK((refresh_manifest(directory.path(), {told, wrong_size}).files() ==
         std::vector<FileRecord>{record(0), told, record(2)}));
  // The manifest's hash is kept without reading the file again, so that damage shows as a difference.
  write_whole(directory / name(0), std::string(content(0).size(), '!'));
  const Manifest kept = refresh_manifest(directory.path());
  CHECK((kept.files() == std::vector<FileRecord>{record(0), told, record(2)}));
  const ManifestDifference difference = compare_manifest(kept, directory.path(), true);
  CHECK((difference.changed == std::vector<std::string>{name(0), name(1)}));
  CHECK(compare_manifest(kept, directory.path(), false).none());
  // Another size is another file.
  write_whole(directory / name(0), content(25));
  CHECK((refresh_manifest(directory.path()).files()[0] == FileRecord{name(0), 125, xxh3(content(25))}));
}

TEST_CASE("shards that another process has listed are not read, and merged lists are removed") {
  const TemporaryDirectory directory;
  const std::filesystem::path folder = directory / "track";
  std::filesystem::create_directory(folder);
  // The hashes are not those of the bytes, which proves that no file was read.
  const FileRecord own{name(0), content(0).size(), 40}, others{name(1), content(1).size(), 41},
      older{name(2), content(2).size(), 42};
  for (const int number : {0, 1, 2}) write_whole(folder / name(number), content(number));
  write_whole(folder / kManifestName, Manifest({older}).json());
  const ShardLog other(folder);
  CHECK_FALSE(std::filesystem::exists(other.path()));
  other.append(others);
  const std::optional<Manifest> all = Manifest::read_all(folder);
  REQUIRE(all);
  CHECK((all->files() == std::vector<FileRecord>{others, older}));

  CHECK((refresh_manifest(folder, {own}).files() == std::vector<FileRecord>{own, others, older}));
  CHECK((Manifest::read(folder)->files() == std::vector<FileRecord>{own, others, older}));
  CHECK_FALSE(std::filesystem::exists(other.path()));
  // The other process continues with a new list.
  write_whole(folder / name(3), content(3));
  other.append({name(3), content(3).size(), 43});
  CHECK(refresh_manifest(folder).files().back().hash == 43);
  CHECK_FALSE(std::filesystem::exists(other.path()));
}

TEST_CASE("contradicting lists, broken lines and wrong sizes are ignored") {
  const TemporaryDirectory directory;
  for (const int number : {0, 1, 2, 3}) write_whole(directory / name(number), content(number));
  write_whole(directory / kManifestName, Manifest({{name(0), content(0).size(), 7}}).json());
  const ShardLog one(directory.path());
  one.append({name(0), content(0).size(), 8});  // another hash than shards.json
  one.append({name(1), 5, 9});                  // another size than the file
  one.append({name(9), 5, 9});                  // not there
  write_whole(directory / "shards.0123456789abcdef.jsonl",
              "{\"name\": \"00002.h5\", \"bytes\": 102, \"xx\n"
              "\n[]\n{\"name\": \"../a.h5\", \"bytes\": 1, \"xxh3\": \"0000000000000abc\"}\n" +
                  std::string(20, '\0') + "\n{\"name\": \"00003.h5\", \"bytes\": 103, \"xxh3\": \"00000000000000ff\"}");
  CHECK((refresh_manifest(directory.path()).files() ==
         std::vector<FileRecord>{record(0), record(1), record(2), {name(3), content(3).size(), 0xFF}}));
  std::size_t left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
    left += entry.path().extension() == ".jsonl" ? 1 : 0;
  CHECK(left == 0);
}

TEST_CASE("a stop ends the reading of files and lists what is known") {
  const TemporaryDirectory directory;
  for (const int number : {0, 1, 2}) write_whole(directory / name(number), content(number));
  const ShardLog log(directory.path());
  log.append(record(1));
  const std::atomic<bool> stop{true};
  CHECK((refresh_manifest(directory.path(), {record(0)}, {.stop = &stop}).files() ==
         std::vector<FileRecord>{record(0), record(1)}));
  CHECK((compare_manifest(*Manifest::read(directory.path()), directory.path(), true).unlisted ==
         std::vector<std::string>{name(2)}));
  // The next process reads only the shard that is in no list.
  write_whole(directory / name(0), std::string(content(0).size(), '!'));
  CHECK((refresh_manifest(directory.path()).files() == std::vector<FileRecord>{record(0), record(1), record(2)}));
}

namespace {

// One part of the shards 0 to 3: the even numbers.
OwnShare even_share(std::vector<FileRecord> made = {}) {
  return {std::move(made), [](std::uint64_t number) { return number % 2 == 0; }, 0, 4};
}

}  // namespace

TEST_CASE("of several processes the last merges the lists, when all shards exist") {
  const TemporaryDirectory directory;
  const ShardLog own(directory.path()), other(directory.path());
  const auto make = [&](int number, const ShardLog& log) {
    write_whole(directory / name(number), content(number));
    log.append(record(number));
  };
  for (const int number : {0, 2}) make(number, own);
  make(1, other);
  CHECK_FALSE(merge_lists(directory.path(), even_share({record(0), record(2)})));
  CHECK_FALSE(std::filesystem::exists(directory / kManifestName));
  for (const ShardLog* log : {&own, &other}) CHECK(std::filesystem::exists(log->path()));
  make(3, other);
  CHECK(merge_lists(directory.path(), {{record(1), record(3)}, [](std::uint64_t n) { return n % 2 == 1; }, 0, 4}));
  CHECK((Manifest::read(directory.path())->files() ==
         std::vector<FileRecord>{record(0), record(1), record(2), record(3)}));
  for (const ShardLog* log : {&own, &other}) CHECK_FALSE(std::filesystem::exists(log->path()));
  CHECK(merge_lists(directory.path(), even_share()));  // nothing to do
}

TEST_CASE("a file in no list is read only by the process of whose part it is") {
  const TemporaryDirectory directory;
  for (const int number : {0, 1, 2, 3}) write_whole(directory / name(number), content(number));
  const ShardLog log(directory.path());
  for (const int number : {1, 2}) log.append(record(number));
  // The hash given by this process is not that of the bytes, which proves that the file was not read.
  const FileRecord made{name(0), content(0).size(), 40};
  CHECK_FALSE(merge_lists(directory.path(), even_share({made})));  // 3 is another's
  CHECK_FALSE(std::filesystem::exists(directory / kManifestName));
  CHECK(Manifest::read_all(directory.path())->files().size() == 2);
  const std::atomic<bool> stop{true};
  OwnShare odd{{}, [](std::uint64_t number) { return number % 2 == 1; }, 0, 4, &stop};
  CHECK_FALSE(merge_lists(directory.path(), odd));
  odd.stop = nullptr;
  CHECK_FALSE(merge_lists(directory.path(), odd));  // 0 is not in its list
  CHECK((Manifest::read_all(directory.path())->files() == std::vector<FileRecord>{record(1), record(2), record(3)}));
  CHECK(merge_lists(directory.path(), even_share({made})));
  CHECK((Manifest::read(directory.path())->files() == std::vector<FileRecord>{made, record(1), record(2), record(3)}));
  for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
    CHECK(entry.path().extension() != ".jsonl");
}

TEST_CASE("missing files, unlisted files and files of another size are reported") {
  const TemporaryDirectory directory;
  for (const int number : {0, 2, 3, 7}) write_whole(directory / name(number), content(number));
  const Manifest manifest({record(0), record(1), {name(3), 5, 5}, record(5), record(9)});
  const ManifestDifference difference = compare_manifest(manifest, directory.path(), false);
  CHECK((difference.missing == std::vector<std::string>{name(1), name(5), name(9)}));
  CHECK((difference.unlisted == std::vector<std::string>{name(2), name(7)}));
  CHECK((difference.changed == std::vector<std::string>{name(3)}));
  write_whole(directory / kManifestName, manifest.json());
  std::filesystem::remove(directory / name(0));
  CHECK((names(refresh_manifest(directory.path())) == std::vector<std::string>{name(2), name(3), name(7)}));
  for (const int number : {2, 3, 7}) std::filesystem::remove(directory / name(number));
  CHECK(refresh_manifest(directory.path()).files().empty());
  CHECK((Manifest::read(directory.path()) == Manifest()));
}

TEST_CASE("an unchanged manifest is not written again") {
  const TemporaryDirectory directory;
  write_whole(directory / name(0), content(0));
  refresh_manifest(directory.path());
  std::filesystem::permissions(directory / kManifestName, std::filesystem::perms::owner_read);
  refresh_manifest(directory.path(), {record(0)});
  CHECK(std::filesystem::status(directory / kManifestName).permissions() == std::filesystem::perms::owner_read);
}

TEST_CASE("a damaged manifest is an error that names it") {
  for (
      const char* text_of :
      {"", "[]", "{\"format\": \"vitrine track\"}", "{\"format\": \"vitrine shards\", \"version\": 2, \"shards\": []}",
       "{\"format\": \"vitrine shards\", \"version\": 1}",
       "{\"format\": \"vitrine shards\", \"version\": 1, \"shards\": [{\"name\": \"00000.h5\", \"bytes\": 1}]}",
       "{\"format\": \"vitrine shards\", \"version\": 1, \"shards\": [{\"name\": \"../a.h5\", \"bytes\": 1, \"xxh3\": "
       "\"0000000000000abc\"}]}",
       "{\"format\": \"vitrine shards\", \"version\": 1, \"shards\": [{\"name\": \"00000.h5\", \"bytes\": 1, \"xxh3\": "
       "\"abc\"}]}",
       "{\"format\": \"vitrine shards\", \"version\": 1, \"shards\": [{\"name\": \"00000.h5\", \"bytes\": -1.5, "
       "\"xxh3\": \"0000000000000abz\"}]}",
       "{\"format\": \"vitrine shards\", \"version\": 1, \"shards\": [{\"name\": \"00000.h5\", \"bytes\": -1, "
       "\"xxh3\": \"0000000000000abc\"}]}",
       "{\"format\": \"vitrine shards\", \"version\": 1, \"shards\": [{\"name\": \"00000.h5\", \"bytes\": 1.5, "
       "\"xxh3\": \"0000000000000abc\"}]}",
       "{\"format\": \"vitrine shards\", \"version\": 1, \"shards\": [{\"name\": \"00000.h5\", \"bytes\": 1, \"xxh3\": "
       "\"0000000000000abc\"}, {\"name\": \"00000.h5\", \"bytes\": 1, \"xxh3\": \"0000000000000abc\"}]}"}) {
    CAPTURE(text_of);
    CHECK_THROWS_WITH_AS(Manifest::parse(text_of, "here/shards.json"), doctest::Contains("here/shards.json"), Error);
  }
}

TEST_CASE("of two processes, one of them killed, the last to finish leaves a complete list") {
  constexpr int kShards = 60;
  for (const int dies_after : {0, 1, 17, 30}) {
    CAPTURE(dies_after);
    const TemporaryDirectory directory;
    const pid_t even = extracting(directory.path(), 0, kShards, 0),
                odd = extracting(directory.path(), 1, kShards, dies_after);
    REQUIRE(even > 0);
    REQUIRE(odd > 0);
    int even_status = 0, odd_status = 0;
    ::waitpid(even, &even_status, 0);
    ::waitpid(odd, &odd_status, 0);
    CHECK((WIFEXITED(even_status) && WEXITSTATUS(even_status) == 0));
    if (dies_after == 0) {
      CHECK((WIFEXITED(odd_status) && WEXITSTATUS(odd_status) == 0));
      const std::optional<Manifest> left = Manifest::read(directory.path());
      REQUIRE(left);
      CHECK(compare_manifest(*left, directory.path(), true).none());
      CHECK(left->files().size() == kShards);
      continue;
    }
    CHECK((WIFSIGNALED(odd_status) && WTERMSIG(odd_status) == SIGKILL));
    // The next process completes the list, even with nothing else to do.
    const Manifest whole = refresh_manifest(directory.path());
    CHECK(whole.files().size() == static_cast<std::size_t>(kShards / 2 + dies_after));
    CHECK(compare_manifest(whole, directory.path(), true).none());
  }
}

TEST_CASE("many processes that finish at the same time never leave an incomplete list") {
  constexpr int kRounds = 100, kThreads = 4;
  int short_lists = 0;
  for (int round = 0; round < kRounds; ++round) {
    const TemporaryDirectory directory;
    std::barrier start(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        publish(directory / name(i), content(i));
        refresh_manifest(directory.path(), {record(i)});
      });
    for (std::thread& thread : threads) thread.join();
    const std::optional<Manifest> left = Manifest::read(directory.path());
    if (!left || !compare_manifest(*left, directory.path(), true).none()) ++short_lists;
  }
  CHECK(short_lists == 0);
}
