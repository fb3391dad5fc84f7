// Extraction on a full disk: with a file size limit, and on a small mounted file system if the machine permits
// mounting.
#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/extract/fixture.h"
#include "tests/support/message.h"
#include "tests/support/skip.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::ExtractFixture;
using vitrine::testing::has;

namespace {

// Checks for one sentence, the exit code of ErrorKind::kIo, and no partial files; returns the number of shard files
// that are left.
std::size_t shards_left(const ExtractFixture& fixture, const CommandResult& result, const std::string& reason) {
  CAPTURE(result.output);
  CHECK(result.exit_code == 3);
  const std::size_t at = result.output.find("vitrine-extract: ");
  REQUIRE(at != std::string::npos);
  const std::string last = result.output.substr(at);
  CHECK(last.find('\n') == last.size() - 1);
  CHECK(has(last, reason));
  CHECK(has(last, "make room on its disk and run again"));
  CHECK(result.output.find("HDF5") == std::string::npos);
  for (const auto& [name, bytes] : fixture.files("cache")) CHECK(name.find(".part.") == std::string::npos);
  return fixture.shards("cache").size();
}

void check_finishes(const ExtractFixture& fixture, const std::vector<std::string>& settings) {
  REQUIRE(fixture.extract("cache", settings).exit_code == 0);
  REQUIRE(fixture.extract("whole", settings).exit_code == 0);
  CHECK((fixture.files("cache") == fixture.files("whole")));
}

}  // namespace

TEST_CASE("a file size limit gives one sentence, leaves no partial file, and the run can be resumed") {
  const ExtractFixture fixture;
  // In blocks of 512 bytes; its signal would kill the process.
  const std::vector<std::string> settings{"taps.features_encoding=fp32", "taps.level=1"};
  std::size_t fewest = 1000;
  for (const char* blocks : {"0", "4", "8", "12", "16", "20"}) {
    CAPTURE(blocks);
    std::filesystem::remove_all(fixture.root / "cache");
    const CommandResult result = vitrine::testing::run(std::string("trap '' XFSZ; ulimit -f ") + blocks + "; " +
                                                       fixture.command("cache", settings));
    fewest = std::min(fewest, shards_left(fixture, result, "File too large"));
  }
  CHECK(fewest == 0);
  check_finishes(fixture, settings);
}

TEST_CASE("a full disk gives one sentence, leaves no partial file, and the run can be resumed") {
  const ExtractFixture fixture;
  const std::string root = fixture.root.path().string();
  std::filesystem::create_directories(fixture.root / "small");
  const std::string enter = "unshare --map-root-user --mount ", mount = "mount -t tmpfs none '" + root + "/small' -o ";
  if (vitrine::testing::run(enter + mount + "size=16k").exit_code != 0) {
    vitrine::testing::skip("this machine lets no test mount a file system of its own");
    return;
  }
  const std::vector<std::string> settings{"taps.features_encoding=fp32", "passes=4"};
  bool with_shards = false;
  for (const char* size : {"16k", "64k", "128k", "192k"}) {
    CAPTURE(size);
    std::filesystem::remove_all(fixture.root / "cache");
    // Copies the run's files out before the file system vanishes with its namespace.
    vitrine::testing::write_whole(fixture.root / "full.sh",
                                  mount + "size=" + size + " || exit 1\n" + fixture.command("small/cache", settings) +
                                      "\ncode=$?\n[ ! -d '" + root + "/small/cache' ] || cp -r '" + root +
                                      "/small/cache' '" + root + "'\nexit $code\n");
    const CommandResult result = vitrine::testing::run(enter + "sh '" + root + "/full.sh'");
    with_shards = shards_left(fixture, result, "No space left on device") > 0 || with_shards;
  }
  CHECK(with_shards);
  check_finishes(fixture, settings);
}
