// The record of a request in the directory of its results.
#include "tools/commands/vitrine/request_record.h"

#include <stdexcept>

#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

namespace fs = std::filesystem;

struct Records {
  TemporaryDirectory root;
  fs::path out = root / "run", file = out / "plan.toml";

  RequestRecord of(int size) const { return {out, "try", {{"size", size}}, {"plan.toml"}}; }
  FileLock begin(int size, const std::string& words) const {
    return begin_or_resume(of(size), [&] { write_whole(file, words); });
  }
};

}  // namespace

TEST_CASE("request_record: what is asked twice is begun once, and the directory belongs to one process") {
  const Records records;
  {
    const FileLock lock = records.begin(1, "first");
    CHECK_FALSE(fs::exists(records.of(1).mark()));
    CHECK(has(message_of([&] { records.begin(1, "again"); }), "another process is working there"));
  }
  const FileLock lock = records.begin(1, "again");
  CHECK(read_whole(records.file) == "first");
}

TEST_CASE("request_record: of two requests that found the directory empty the later one overwrites nothing") {
  const Records records;
  REQUIRE_FALSE(is_begun(records.of(2)));
  SUBCASE("the first has begun meanwhile") {
    const FileLock lock = records.begin(1, "first");
    CHECK(has(message_of([&] { records.begin(2, "second"); }),
              "was begun with another request: size is 1, but 2 in this command"));
  }
  SUBCASE("the first is writing") {
    const FileLock lock = begin_or_resume(records.of(1), [&] {
      write_whole(records.file, "first");
      CHECK(has(message_of([&] { records.begin(2, "second"); }), "another process is working there"));
    });
  }
  CHECK(read_whole(records.file) == "first");
  CHECK_FALSE(fs::exists(records.of(2).mark()));
}

TEST_CASE("request_record: what a killed call left is written anew, and the same files of anyone else stay") {
  const Records records;
  CHECK_THROWS_AS(begin_or_resume(records.of(1),
                                  [&] {
                                    write_whole(records.file, "torn");
                                    throw std::runtime_error("killed");
                                  }),
                  std::runtime_error);
  CHECK(fs::exists(records.of(1).mark()));
  { const FileLock lock = records.begin(2, "whole"); }
  CHECK(read_whole(records.file) == "whole");
  CHECK_FALSE(fs::exists(records.of(2).mark()));
  // Killed between the record and its lock.
  write_whole(records.of(2).mark(), "");
  { const FileLock lock = records.begin(2, "again"); }
  CHECK_FALSE(fs::exists(records.of(2).mark()));
  fs::remove(records.of(2).file());
  CHECK(has(message_of([&] { records.begin(2, "again"); }), "is not empty, and not a directory of vitrine try"));
  CHECK(read_whole(records.file) == "whole");
}

TEST_CASE("request_record: paths that are not UTF-8 are refused, as no record can hold them") {
  const Records records;
  for (const RequestRecord& record :
       {RequestRecord{records.out / "caf\xe9", "try", {}}, RequestRecord{records.out, "try", {{"x", "caf\xe9"}}},
        RequestRecord{records.out, "try", {{"x", {{"caf\xe9", 1}}}}}}) {
    const std::string message = message_of([&] { is_begun(record); });
    CHECK(has(message, "caf\xe9: is not UTF-8, so that no TOML or JSON file can name it; rename it"));
  }
  CHECK_FALSE(fs::exists(records.out));
}

TEST_CASE("request_record: paths are absolute, with their links") {
  const Records records;
  fs::create_directories(records.out);
  fs::create_directory_symlink(records.out, records.root / "link");
  const std::string link = (records.root / "link").string();
  CHECK(absolute_path(link + "/") == link);
  CHECK(absolute_path("x") == (fs::current_path() / "x").string());
  CHECK(absolute_path("").empty());
}
