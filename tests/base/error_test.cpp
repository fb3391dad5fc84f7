#include "common/base/error.h"

#include <cerrno>
#include <filesystem>
#include <new>

#include "common/base/format_version.h"
#include "common/base/json.h"
#include "common/base/temporary.h"
#include "tests/support/message.h"
#include "tests/support/signals.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::message_of;

TEST_CASE("an error's sentence is composed of its non-empty fields") {
  const auto sentence = [](Problem problem) { return std::string(Error(ErrorKind::kIo, std::move(problem)).what()); };
  CHECK(sentence({.what = "is wrong"}) == "is wrong");
  CHECK(sentence({.path = "a.h5", .what = "is wrong"}) == "a.h5: is wrong");
  CHECK(sentence({.path = "a.h5", .what = "is wrong", .remedy = "copy it"}) == "a.h5: is wrong; copy it");
  CHECK(sentence({.path = "a.h5", .dataset = "q", .what = "is wrong"}) == "a.h5: dataset q: is wrong");
  CHECK(sentence({.path = "a.h5", .group = 0, .what = "is wrong"}) == "a.h5: group 0: is wrong");
  CHECK(sentence({.path = "a.h5", .dataset = "q", .group = 3, .what = "is wrong", .remedy = "copy it"}) ==
        "a.h5: dataset q, group 3: is wrong; copy it");
  CHECK(sentence({.group = 2, .what = "is wrong"}) == "group 2: is wrong");
}

TEST_CASE("fail() throws a kInput error whose sentence is its arguments") {
  try {
    fail("a = ", 3, " is not allowed; expected ", 4.5);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kInput);
    CHECK(error.what() == std::string("a = 3 is not allowed; expected 4.5"));
    CHECK(error.problem().what == error.what());
    CHECK(error.problem().path.empty());
    return;
  }
  FAIL("nothing was thrown");
}

TEST_CASE("at() adds a place to an error without one, and keeps kind and fields") {
  const Error bare(ErrorKind::kNewer, {.what = "is wrong", .remedy = "wait"});
  const Error placed = bare.at({.path = "a.h5", .dataset = "q", .group = 7, .what = "not this", .remedy = "nor this"});
  CHECK(placed.kind() == ErrorKind::kNewer);
  CHECK(placed.what() == std::string("a.h5: dataset q, group 7: is wrong; wait"));
  CHECK(placed.problem().path == "a.h5");
  CHECK(placed.problem().dataset == "q");
  CHECK(placed.problem().group == 7);
  // Fields that are already set are closer to the fault.
  CHECK(placed.at({.path = "b.h5", .dataset = "r", .group = 0}).what() == std::string(placed.what()));
  CHECK(bare.at({.group = 0}).what() == std::string("group 0: is wrong; wait"));
  CHECK(bare.at({}).what() == std::string(bare.what()));
}

TEST_CASE("each kind has its own exit code, the same in all programs") {
  CHECK(exit_code(ErrorKind::kInput) == 2);
  CHECK(exit_code(ErrorKind::kIo) == 3);
  CHECK(exit_code(ErrorKind::kCorrupt) == 4);
  CHECK(exit_code(ErrorKind::kNewer) == 5);
  CHECK(exit_code(ErrorKind::kMemory) == 6);
  CHECK(exit_code(ErrorKind::kInternal) == 70);
  for (const ErrorKind kind : {ErrorKind::kInput, ErrorKind::kIo, ErrorKind::kCorrupt, ErrorKind::kNewer,
                               ErrorKind::kMemory, ErrorKind::kInternal})
    CHECK(guarded_main("test", [&]() -> int { throw Error(kind, {.what = "this line belongs to a test"}); }) ==
          exit_code(kind));
  CHECK(guarded_main("test", []() -> int { throw std::bad_alloc(); }) == 6);
  CHECK(guarded_main("test", []() -> int {
          throw std::filesystem::filesystem_error("this line belongs to a test", "p",
                                                  std::make_error_code(std::errc::permission_denied));
        }) == 3);
}

TEST_CASE("in a current directory that was removed a program says so, and its body does not run") {
  const int status = vitrine::testing::child_status([] {
    {
      const TemporaryDirectory gone;
      std::filesystem::current_path(gone.path());
    }
    bool ran = false;
    const int code = guarded_main("test", [&] {
      ran = true;
      return 0;
    });
    return ran ? 1 : code;
  });
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == exit_code(ErrorKind::kInput)));
}

TEST_CASE("a failed system call is kInput for a bad path, else kIo or kMemory") {
  for (const int code : {ENOENT, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG}) CHECK(kind_of_errno(code) == ErrorKind::kInput);
  for (const int code : {EACCES, EPERM, EIO, ENOSPC, EROFS, ESTALE, ETIMEDOUT, EDQUOT})
    CHECK(kind_of_errno(code) == ErrorKind::kIo);
  for (const int code : {ENOMEM, ENOBUFS, EMFILE, ENFILE}) CHECK(kind_of_errno(code) == ErrorKind::kMemory);
  // For lack of resources, the remedy depends on the resource, not on the call.
  CHECK(message_of([] { fail_system(EMFILE, "a.h5", "cannot be opened", "check the path"); }) ==
        "a.h5: cannot be opened (Too many open files); raise the limit on open files (ulimit -n) or use fewer workers, "
        "then run again");
  try {
    fail_system(EIO, "a.h5", "cannot be read", "check its disk");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kIo);
    CHECK(error.what() == std::string("a.h5: cannot be read (Input/output error); check its disk"));
  }
  CHECK(message_of([] { fail_system(ENOENT, "", "cannot be opened"); }).starts_with("\"\": cannot be opened ("));
}

TEST_CASE("an invalid value has a different kind of error in a configuration than in a file") {
  const auto kind_of_read = [](ErrorKind thrown) {
    try {
      read_as(ErrorKind::kCorrupt, [&] { throw Error(thrown, {.path = "p", .what = "w", .remedy = "r"}); });
    } catch (const Error& error) {
      CHECK(error.what() == std::string("p: w; r"));
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  CHECK(kind_of_read(ErrorKind::kInput) == ErrorKind::kCorrupt);
  CHECK(kind_of_read(ErrorKind::kNewer) == ErrorKind::kNewer);
  CHECK(kind_of_read(ErrorKind::kIo) == ErrorKind::kIo);
  CHECK(read_as(ErrorKind::kCorrupt, [] { return 3; }) == 3);
}

TEST_CASE("a file with a higher version is newer, and one without a version is damaged") {
  const auto told = [](const char* json, std::uint64_t known) {
    try {
      check_format_version(parse_json(json), "p", known);
    } catch (const Error& error) {
      CHECK(std::string(error.what()).starts_with("p: has "));
      return error.kind();
    }
    return ErrorKind::kInternal;  // none
  };
  CHECK(told(R"({"version": 3})", 3) == ErrorKind::kInternal);
  CHECK(told(R"({"version": 4})", 3) == ErrorKind::kNewer);
  CHECK(told(R"({"version": 18446744073709551615})", 3) == ErrorKind::kNewer);
  CHECK(told(R"({"version": 2})", 3) == ErrorKind::kInput);
  for (const char* bad :
       {R"({"version": 0})", R"({"version": -3})", R"({"version": "3"})", R"({"version": 2.5})", "{}"})
    CHECK(told(bad, 3) == ErrorKind::kCorrupt);
  CHECK(message_of([] { check_format_version(parse_json(R"({"version": 2})"), "p", 1); }) ==
        "p: has format version 2, this program reads 1.x; use a newer vitrine");
}
