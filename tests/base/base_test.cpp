#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/counted.h"
#include "common/base/crc32c.h"
#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/memory.h"
#include "common/base/philox.h"
#include "common/base/processor_load.h"
#include "common/base/progress.h"
#include "common/base/utf8.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

namespace vitrine {
namespace {

using testing::has;
using testing::message_of;
using testing::TemporaryDirectory;
using Block = std::array<std::uint32_t, 4>;

std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.push_back(entry.path().filename().string());
  return names;
}

TEST_CASE("available memory is the kernel's figure, or less in a limited control group") {
  const auto with = [](const std::vector<std::pair<std::string, std::string>>& files) {
    const TemporaryDirectory root;
    for (const auto& [name, content] : files) testing::write_whole(root / name, content);
    return available_memory(root.path());
  };
  const std::pair<std::string, std::string> kernel{"proc/meminfo",
                                                   "MemTotal:  8000 kB\nMemFree: 1 kB\nMemAvailable:    4000 kB\n"};
  CHECK(with({}) == std::nullopt);
  CHECK(with({kernel}) == 4'096'000);
  const std::pair<std::string, std::string> version2{"proc/self/cgroup", "0::/slice/job\n"};
  CHECK(with({kernel, version2}) == 4'096'000);
  // The limits of the group and of its parent, minus used memory without file pages.
  CHECK(with({kernel,
              version2,
              {"sys/fs/cgroup/slice/job/memory.max", "max\n"},
              {"sys/fs/cgroup/slice/job/memory.current", "500000\n"},
              {"sys/fs/cgroup/slice/memory.max", "1000000\n"},
              {"sys/fs/cgroup/slice/memory.current", "700000\n"},
              {"sys/fs/cgroup/slice/memory.stat", "anon 400000\nactive_file 7\ninactive_file 200000\n"}}) == 500'000);
  CHECK(with({kernel,
              version2,
              {"sys/fs/cgroup/memory.max", "1000\n"},  // in a container the own group is the root
              {"sys/fs/cgroup/memory.current", "2000\n"}}) == 0);
  CHECK(with({kernel,
              {"proc/self/cgroup", "3:cpu,cpuacct:/a\n2:memory:/a\n"},
              {"sys/fs/cgroup/memory/a/memory.limit_in_bytes", "3000000\n"},
              {"sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1000000\n"},
              {"sys/fs/cgroup/memory/a/memory.stat", "inactive_file 5\ntotal_inactive_file 100000\n"}}) == 2'100'000);
  CHECK(available_memory().value_or(0) > 0);
}

TEST_CASE("Philox4x32-10 gives the known answers of Random123's kat_vectors") {
  CHECK(philox(0, {0, 0, 0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox(~0ull, {~0u, ~0u, ~0u, ~0u}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a random stream uses the blocks of its position; other positions give other draws") {
  RandomStream stream(7, Purpose::kMix, 3, 5ull << 32 | 6);
  const std::uint64_t key = 7 ^ 3 * 0x9E3779B97F4A7C15ull;
  for (std::uint32_t block = 0; block < 3; ++block)
    for (const std::uint32_t expected : philox(key, {block, 3, 6, 5})) CHECK(stream.bits() == expected);
  const std::uint32_t first = RandomStream(7, Purpose::kMix, 3, 9).bits();
  CHECK(first == RandomStream(7, Purpose::kMix, 3, 9).bits());
  CHECK(first != RandomStream(8, Purpose::kMix, 3, 9).bits());
  CHECK(first != RandomStream(7, Purpose::kCrop, 3, 9).bits());
  CHECK(first != RandomStream(7, Purpose::kMix, 4, 9).bits());
  CHECK(first != RandomStream(7, Purpose::kMix, 3, 10).bits());
}

TEST_CASE("integers below a bound are uniform") {
  RandomStream stream(1, Purpose::kSample);
  CHECK(stream.below(1) == 0);
  constexpr int kDraws = 60000;
  std::array<int, 6> counts{};
  for (int i = 0; i < kDraws; ++i) ++counts[stream.below(6)];
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - kDraws / 6.0) * (count - kDraws / 6.0) / (kDraws / 6.0);
  CHECK(chi_square < 35.9);  // 5 degrees of freedom, exceeded with probability 1e-6

  // With n = 3/4 of 2^64 a plain remainder would fall into the lowest third half of the time.
  const std::uint64_t n = 3ull << 62;
  int lowest_third = 0;
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t draw = stream.below(n);
    REQUIRE(draw < n);
    lowest_third += draw < n / 3;
  }
  CHECK(std::abs(lowest_third / double(kDraws) - 1.0 / 3) < 0.01);  // over five deviations
}

// Mean and variance of 200,000 draws, as deviations from the expected ones in standard errors of the mean and in
// shares.
template <class Draw>
void check_moments(const Draw& draw, double mean, double variance) {
  constexpr int kDraws = 200000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = draw();
    sum += x;
    squares += (x - mean) * (x - mean);
  }
  CHECK(std::abs(sum / kDraws - mean) < 5 * std::sqrt(variance / kDraws));
  CHECK(squares / kDraws == doctest::Approx(variance).epsilon(0.03));
}

TEST_CASE("distributions have the textbook moments") {
  RandomStream stream(2, Purpose::kSample);
  check_moments([&] { return stream.uniform(); }, 0.5, 1.0 / 12);
  check_moments([&] { return stream.uniform(-2, 4); }, 1, 3);
  check_moments([&] { return stream.normal(); }, 0, 1);
  check_moments([&] { return stream.gamma(2.5); }, 2.5, 2.5);
  check_moments([&] { return stream.gamma(0.4); }, 0.4, 0.4);
  check_moments([&] { return stream.beta(0.8, 0.8); }, 0.5, 1 / (4 * 2.6));  // ab / ((a+b)^2 (a+b+1))
  check_moments([&] { return stream.beta(1, 3); }, 0.25, 3 / (16.0 * 5));
  for (int i = 0; i < 1000; ++i) {
    const double x = stream.uniform();
    REQUIRE((x >= 0 && x < 1));
  }
}

TEST_CASE("UTF-8 is distinguished from other bytes, at the limits of each length") {
  for (const std::string_view good :
       {"", "plain", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "caf\xC3\xA9/\xE2\x82\xAC.jpg"})
    CHECK_MESSAGE(is_utf8(good), good);
  for (const std::string_view bad : {"\x80", "caf\xE9", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3x", "\xE0\x9F\xBF",
                                     "\xE2\x82", "\xE2\x28\xA1", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF",
                                     "\xF0\x9F\x98", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80", "\xFF"})
    CHECK_FALSE_MESSAGE(is_utf8(bad), bad);
}

TEST_CASE("text is cut between characters, and padded by their number") {
  const std::string cafes = "caf\xC3\xA9s";
  CHECK(cut_at_character(cafes, 6) == cafes);
  CHECK(cut_at_character(cafes, 5) == "caf\xC3\xA9");
  CHECK(cut_at_character(cafes, 4) == "caf");
  CHECK(cut_at_character("\xF0\x9F\x98\x80", 3).empty());
  CHECK(padded(cafes, 7) == cafes + "  ");
  CHECK(padded(cafes, 5) == cafes);
  CHECK(padded(cafes, 2) == cafes);
}

TEST_CASE("XXH3 and SHA-256 give published values") {
  CHECK(xxh3("") == 0x2d06800538d394c2);
  CHECK(xxh3("abc") == 0x78af5f94892f3950);
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-4's example
  Sha256 pieces;
  pieces.update("a");
  pieces.update("");
  pieces.update("bc");
  CHECK(pieces.hex() == sha256_hex("abc"));
}

TEST_CASE("SHA-256 of a file of several blocks is that of its bytes") {
  const TemporaryDirectory directory;
  std::string bytes((2 << 20) + 17, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 3);
  testing::write_whole(directory / "big", bytes);
  CHECK(sha256_hex_of_file(directory / "big") == sha256_hex(bytes));
  CHECK(has(message_of([&] { sha256_hex_of_file(directory / "none"); }), "none"));
}

TEST_CASE("a published file is complete, replaces the old one, and its directory is created") {
  const TemporaryDirectory directory;
  const auto path = directory / "a/b/file";
  publish(path, "first");
  CHECK(testing::read_whole(path) == "first");
  publish(path, [&](const std::filesystem::path& aside) {
    CHECK(aside.parent_path() == path.parent_path());
    testing::write_whole(aside, "second");
    CHECK(testing::read_whole(path) == "first");
  });
  CHECK(testing::read_whole(path) == "second");
  CHECK(names_in(path.parent_path()) == std::vector<std::string>{"file"});
}

TEST_CASE("a writer that throws leaves no file, and the old file stays") {
  const TemporaryDirectory directory;
  const auto failing = [](const std::filesystem::path& aside) {
    testing::write_whole(aside, "half");
    throw std::runtime_error("stopped");
  };
  CHECK_THROWS_WITH(publish(directory / "file", failing), "stopped");
  CHECK(names_in(directory.path()).empty());
  publish(directory / "file", "old");
  CHECK_THROWS_WITH(publish(directory / "file", failing), "stopped");
  CHECK(names_in(directory.path()) == std::vector<std::string>{"file"});
  CHECK(testing::read_whole(directory / "file") == "old");
  // A writer that writes nothing is an error, not an empty file.
  CHECK_THROWS_AS(publish(directory / "other", [](const std::filesystem::path&) {}), Error);
  CHECK_FALSE(std::filesystem::exists(directory / "other"));
}

TEST_CASE("with kKeep an existing file stays, also one created meanwhile, and the caller learns it") {
  const TemporaryDirectory directory;
  const std::filesystem::path path = directory / "file";
  CHECK(publish(path, "first", Existing::kKeep));
  CHECK_FALSE(publish(path, "second", Existing::kKeep));
  CHECK(testing::read_whole(path) == "first");
  // Created while ours is being written.
  const std::filesystem::path late = directory / "late";
  CHECK_FALSE(publish(
      late,
      [&](const std::filesystem::path& aside) {
        testing::write_whole(aside, "ours");
        publish(late, "theirs");
      },
      Existing::kKeep));
  CHECK(testing::read_whole(late) == "theirs");
  CHECK(publish(late, "ours"));
  CHECK(testing::read_whole(late) == "ours");
  CHECK(names_in(directory.path()) == std::vector<std::string>{"file", "late"});
}

TEST_CASE("of many concurrent publishers with kKeep exactly one succeeds") {
  const TemporaryDirectory directory;
  constexpr int kWriters = 8;
  for (int round = 0; round < 20; ++round) {
    const std::filesystem::path path = directory / std::to_string(round);
    std::atomic<int> placed = 0, winner = -1;
    std::vector<std::thread> writers;
    for (int w = 0; w < kWriters; ++w)
      writers.emplace_back([&, w] {
        if (publish(path, std::to_string(w), Existing::kKeep)) ++placed, winner = w;
      });
    for (std::thread& writer : writers) writer.join();
    CHECK(placed == 1);
    CHECK(testing::read_whole(path) == std::to_string(winner));
  }
}

TEST_CASE("only files are replaced, and an error of the temporary file names the file that it was to become") {
  const TemporaryDirectory directory;
  REQUIRE(::mkfifo((directory / "pipe").c_str(), 0600) == 0);
  std::filesystem::create_directory(directory / "folder");
  bool called = false;
  const auto refused = [&](const char* name) {
    return testing::message_of(
        [&] { publish(directory / name, [&](const std::filesystem::path&) { called = true; }); });
  };
  CHECK(refused("pipe") == (directory / "pipe").string() + ": is not a regular file; give another path for the file");
  CHECK(refused("folder") == (directory / "folder").string() + ": is a directory; give another path for the file");
  CHECK_FALSE(called);
  CHECK(std::filesystem::is_fifo(directory / "pipe"));
  const auto failing = [](const std::filesystem::path& aside) { fail_system(ENOSPC, aside.string(), "is not whole"); };
  const std::string message = testing::message_of([&] { publish(directory / "new", failing); });
  CHECK(message == (directory / "new").string() + ": is not whole (No space left on device)");
}

TEST_CASE("temporary files of dead writers are removed, others are kept") {
  const TemporaryDirectory directory;
  // Names as given by publish(): HOST.PROCESS.RUN.COUNTER.
  std::string own;
  publish(directory / "x.h5", [&](const std::filesystem::path& aside) {
    own = aside.filename().string();
    testing::write_whole(aside, "whole");
    remove_abandoned(directory.path());
    CHECK(std::filesystem::exists(aside));
  });
  CHECK(is_temporary_name(own));
  CHECK_FALSE(is_temporary_name("x.h5"));
  const std::string process = text(".", getpid(), ".");
  const std::size_t at = own.find(process);
  REQUIRE(at != std::string::npos);
  const std::string place = own.substr(0, at), run = own.substr(at + process.size());
  const auto put = [&](const std::string& name, bool old = false) {
    testing::write_whole(directory / name, "half a file");
    if (old)
      std::filesystem::last_write_time(directory / name,
                                       std::filesystem::file_time_type::clock::now() - std::chrono::hours(25));
    return name;
  };
  const std::vector<std::string> gone{
      put(place + ".2147483646." + run),              // beyond the kernel's largest number
      put(place + process + "0123456789abcdef.3"),    // of a dead process with this one's id
      put(place + ".1." + run + "9", true),           // of a dead process whose id was reused
      put("x.h5.part.0123456789abcdef.1.0.0", true),  // of another machine, long ago
      put("x.h5.part.1.0", true),
      put("x.h5.part.", true)};
  const std::vector<std::string> stay{put(place + ".1." + run),  // process 1 always exists
                                      put(place + process + run + "7"),
                                      put("x.h5.part.0123456789abcdef.2147483646.0.0"), put("x.h5.part.1.1"), "x.h5"};
  const std::vector<std::filesystem::path> found = abandoned_in(directory.path());
  CHECK(found.size() == gone.size());
  remove_abandoned(directory.path());
  for (const std::string& name : gone) {
    INFO(name);
    CHECK_FALSE(std::filesystem::exists(directory / name));
    CHECK(std::ranges::find(found, directory / name) != found.end());
  }
  for (const std::string& name : stay) {
    INFO(name);
    CHECK(std::filesystem::exists(directory / name));
  }
  CHECK(abandoned_in(directory / "none").empty());
}

TEST_CASE("files are read in parts, and a premature end is an error that names the file") {
  const TemporaryDirectory directory;
  testing::write_whole(directory / "file", "0123456789");
  testing::write_whole(directory / "empty", "");
  const ReadableFile file(directory / "file");
  CHECK(file.size() == 10);
  std::array<std::byte, 4> piece{};
  file.read(6, piece);
  CHECK(piece == std::array{std::byte{'6'}, std::byte{'7'}, std::byte{'8'}, std::byte{'9'}});
  CHECK(has(message_of([&] { file.read(7, piece); }), (directory / "file").string()));
  CHECK(!message_of([&] { file.read(~0ull - 2, piece); }).empty());
  CHECK(read_file(directory / "file") == "0123456789");
  CHECK(read_file(directory / "empty").empty());
  const MappedFile mapped(directory / "file");
  CHECK(mapped.bytes().size() == 10);
  CHECK(mapped.bytes()[9] == std::byte{'9'});
  CHECK(MappedFile(directory / "empty").bytes().empty());
  CHECK(has(message_of([&] { read_file(directory / "none"); }), "none"));
  CHECK(has(message_of([&] { read_file(directory.path()); }), "regular file"));
  CHECK(has(message_of([&] { MappedFile(directory / "none"); }), "none"));
}

TEST_CASE("a command's exit code reflects the kind of error") {
  CHECK(guarded_main("test", [] { return 0; }) == 0);
  CHECK(guarded_main("test", [] { return 3; }) == 3);
  CHECK(guarded_main("test", []() -> int { fail("this line belongs to a test"); }) == 2);
  CHECK(guarded_main("test", []() -> int { throw std::logic_error("this line belongs to a test"); }) == 70);
}

TEST_CASE("numbers that round to zero have no sign") {
  CHECK(decimals(-0.001, 2) == "0.00");
  CHECK(decimals(-0.0, 0) == "0");
  CHECK(decimals(-0.006, 2) == "-0.01");
  CHECK(decimals(99.96, 1) == "100.0");
  CHECK(significant(-0.0, 3) == "0");
  CHECK(significant(-1.234e-9, 3) == "-1.23e-09");
  CHECK(significant(-100, 2) == "-1e+02");
  CHECK(percent_words(0.4851) == "48.5 %");
  CHECK(percent_words(0.5) == "50 %");
  CHECK(percent_words(0.5, 1) == "50.0 %");
}

TEST_CASE("numbers are formatted for display") {
  CHECK(human_bytes(1500) == "1.5 KB");
  CHECK(human_bytes(386.2e9) == "386.2 GB");
  CHECK(human_count(1281167) == "1,281,167");
  CHECK(human_count(999) == "999");
  CHECK(human_count(1000) == "1,000");
  CHECK(human_time(0.4) == "0.4 s");
  CHECK(human_time(125) == "2 min 05 s");
  CHECK(human_time(3 * 3600 + 20 * 60) == "3 h 20 min");
  CHECK(human_time(4.2 * 86400) == "4.2 days");
}

TEST_CASE("what other programs take of the processors is told apart from this one's work") {
  const OtherPrograms others;
  REQUIRE(testing::run("timeout 0.3 sh -c 'while :; do :; done'; true").exit_code == 0);
  const double share = others.share();
  CHECK(share >= 0);
  CHECK(share <= 1);
  CHECK(uncertain_words(0.05) == "");
  CHECK(uncertain_words(0.433) == "uncertain: other programs took 43 % of the processors meanwhile");
}

TEST_CASE("a number is written with its noun") {
  CHECK(counted(1, "image") == "1 image");
  CHECK(counted(0, "image") == "0 images");
  CHECK(counted(1281167, "image") == "1,281,167 images");
  CHECK(counted(1, "pass", "passes") == "1 pass");
  CHECK(counted(2, "pass", "passes") == "2 passes");
}

// What `loop` prints on standard error.
std::string printed_by(const std::function<void()>& loop) {
  const TemporaryDirectory root;
  const std::string path = root / "screen.txt";
  std::fflush(stderr);
  const int before = ::dup(STDERR_FILENO), file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  REQUIRE(::dup2(file, STDERR_FILENO) == STDERR_FILENO);
  loop();
  std::fflush(stderr);
  ::dup2(before, STDERR_FILENO);
  ::close(before), ::close(file);
  return testing::read_whole(path);
}

TEST_CASE("the last line of a loop that goes on counts what this process did") {
  for (const std::uint64_t done : {224u, 0u})
    CHECK(printed_by([&] {
            Progress progress("train", "images", 336, done);
            progress.advance(112);
            progress.finish();
          }).starts_with("train: 112 images in "));
}

TEST_CASE("pieces of any size add up to all bytes of a loop, in KB") {
  CHECK(printed_by([] {
          ByteProgress progress("unpack", 20'700, 700);
          for (int i = 0; i < 40; ++i) progress.advance(500);
          progress.finish();
        }).starts_with("unpack: 20 KB in "));
}

TEST_CASE("crc32c gives the values of RFC 3720, appendix B.4") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xE3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62A8AB43);
}

}  // namespace
}  // namespace vitrine
