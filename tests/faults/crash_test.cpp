// Writers that die, run concurrently or run out of disk leave complete files, and the next one finishes the work with
// the same bytes.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>

#include "common/base/files.h"
#include "tests/cache/sample.h"
#include "tests/faults/shards.h"
#include "tests/support/skip.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

using Files = std::map<std::string, std::string>;

Plan sample_plan() {
  return Plan(sample_index(7), sample_options());
}

// Like an extraction: makes missing files in order.
void write_what_is_missing(const std::filesystem::path& directory) {
  const Plan plan = sample_plan();
  create_cache(directory, plan.index(), plan);
  const TrackInfo track = sample_tracks(plan)[1];
  create_track(directory, track);
  for (std::uint32_t pass = 0; pass < 2; ++pass)
    for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard) {
      const std::vector<std::uint64_t> hashes(plan.layout().span_of(ShardKey{0, shard}).groups, 1);
      if (!recipes_exist(directory, plan, pass, shard)) write_recipes(directory, plan, pass, shard, hashes);
      if (!shard_exists(directory, track, plan, pass, shard)) write_sample_shard(directory, plan, track, pass, shard);
    }
}

Files files_in(const std::filesystem::path& directory) {
  Files files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) files[std::filesystem::relative(entry.path(), directory)] = read_whole(entry.path());
  return files;
}

// Runs `work` in a child process, whose exit code is its result, or 70 for an exception.
pid_t start(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int code = 70;
  try {
    code = work();
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "in a child: %s\n", problem.what());
  }
  ::_exit(code);
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

constexpr int kMayNot = 77;

// Runs `work` and kills it at stop number `moment`; a traced process stops at entry to and exit from each system call.
// Returns the number of stops reached, or -1 if tracing is not permitted.
int killed_at(int moment, const std::function<int()>& work) {
  const pid_t child = start([&] {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return kMayNot;
    ::raise(SIGSTOP);
    return work();
  });
  for (int stops = 0;; ++stops) {
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kMayNot) return -1;
    if (!WIFSTOPPED(status)) return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? stops : -2;
    if (stops == moment) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return stops;
    }
    ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
  }
}

}  // namespace

TEST_CASE("a writer killed at any system call leaves complete files, and the next one makes the same bytes") {
  const TemporaryDirectory whole;
  write_what_is_missing(whole.path());
  const Files expected = files_in(whole.path());
  REQUIRE(expected.size() == 3 + 2 * 2);
  constexpr int kNever = 1 << 30, kStep = 3;  // a call has two stops: every third stop goes through both
  constexpr int kFewest = 150;
  const TemporaryDirectory counted;
  const int stops = killed_at(kNever, [&] { return write_what_is_missing(counted.path()), 0; });
  if (stops == -1) {
    skip("this machine does not let a process trace its child");
    return;
  }
  REQUIRE(stops > kFewest);
  bool died_inside_a_file = false;
  for (int moment = 1; moment < stops; moment += kStep) {
    CAPTURE(moment);
    const TemporaryDirectory directory;
    const int reached = killed_at(moment, [&] { return write_what_is_missing(directory.path()), 0; });
    REQUIRE(reached > std::min(moment, kFewest) - 1);
    if (reached < moment) break;  // it has ended: a sanitizer's allocator varies its number of calls
    for (const auto& [name, bytes] : files_in(directory.path())) {
      CAPTURE(name);
      if (is_temporary_name(name))
        died_inside_a_file = true;
      else
        CHECK((expected.at(name) == bytes));  // all of it or nothing
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path()))
      if (entry.is_directory()) remove_abandoned(entry.path());
    remove_abandoned(directory.path());
    write_what_is_missing(directory.path());
    CHECK((files_in(directory.path()) == expected));
  }
  CHECK(died_inside_a_file);
}

TEST_CASE("two concurrent writers in one cache leave the same files as one") {
  const TemporaryDirectory whole, shared;
  write_what_is_missing(whole.path());
  for (int round = 0; round < 3; ++round) {
    const TemporaryDirectory directory;
    const auto work = [&] { return write_what_is_missing(directory.path()), 0; };
    const pid_t one = start(work), other = start(work);
    CHECK(wait_for(one) == 0);
    CHECK(wait_for(other) == 0);
    CHECK((files_in(directory.path()) == files_in(whole.path())));
  }
}

namespace {

// Writes shards until one fails. Then all existing files must be complete, without leftovers, and with free space the
// work must continue. Returns 0, or the number of the first check that failed.
int fill_up(const std::filesystem::path& directory, const std::function<void()>& make_room) {
  const std::vector<std::byte> bytes(60000, std::byte{1});
  std::vector<std::byte> noise = bytes;
  std::uint32_t state = 1;
  for (std::byte& b : noise) b = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  const auto write = [&](int number) {
    write_container(directory / (std::to_string(number) + ".h5"), {{"q", "|u1", {60000}, 60000, {noise}}}, "{}", 1);
  };
  int written = 0;
  std::string error;
  for (; written < 100 && error.empty(); ++written) try {
      write(written);
    } catch (const Error& problem) {
      error = problem.what();
    }
  if (error.empty()) return 1;
  if (error.find("room") == std::string::npos && error.find("No space left") == std::string::npos &&
      error.find("File too large") == std::string::npos) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 2;
  }
  int there = 0;
  for (const auto& [name, content] : files_in(directory)) {
    if (is_temporary_name(name)) return 3;
    if (!read_everything(directory / name).error.empty()) return 4;
    ++there;
  }
  if (there != written - 1) return 5;
  make_room();
  try {
    write(written);
  } catch (const Error& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return 6;
  }
  return read_everything(directory / (std::to_string(written) + ".h5")).error.empty() ? 0 : 7;
}

// Gives this process private mounts: as root, else in a user namespace.
bool mounts_are_its_own() {
  const std::string uid = std::to_string(::getuid()), gid = std::to_string(::getgid());
  if (::unshare(CLONE_NEWNS) == 0) return true;
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  write_whole("/proc/self/setgroups", "deny");
  write_whole("/proc/self/uid_map", "0 " + uid + " 1");
  write_whole("/proc/self/gid_map", "0 " + gid + " 1");
  return true;
}

}  // namespace

TEST_CASE("a full disk stops the writer with one sentence, leaves no partial file, and the work can be resumed") {
  const TemporaryDirectory directory;
  const int code = wait_for(start([&] {
    if (!mounts_are_its_own() || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=400k") != 0)
      return kMayNot;
    return fill_up(directory.path(), [&] { std::filesystem::remove(directory / "0.h5"); });
  }));
  if (code == kMayNot)
    skip("this machine does not let a test mount a small disk");
  else
    CHECK(code == 0);
}

TEST_CASE("a file size limit stops the writer like a full disk") {
  const TemporaryDirectory directory;
  CHECK(wait_for(start([&] {
          ::signal(SIGXFSZ, SIG_IGN);
          rlimit limit{};
          ::getrlimit(RLIMIT_FSIZE, &limit);
          const rlimit wide = limit;
          limit.rlim_cur = 30000;  // the container of 60,000 bytes of noise does not fit: the first one fails
          ::setrlimit(RLIMIT_FSIZE, &limit);
          return fill_up(directory.path(), [&] { ::setrlimit(RLIMIT_FSIZE, &wide); });
        })) == 0);
}
