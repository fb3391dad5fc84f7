// Unpacking: what it makes, what it keeps after a stop, and checking.
#include "tools/pack/unpack.h"

#include "common/image/hold_out.h"
#include "common/image/index_record.h"
#include "common/image/left_out.h"
#include "common/image/scan_report.h"
#include "tests/support/message.h"
#include "tests/tools/pack/packed.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::filesystem::path staging_of(const PackedCache& cache) {
  return cache.target.string() + kUnpackingEnd;
}

// Unpacks the first bytes of the pack from a pipe.
CommandResult unpack_piped(const PackedCache& cache, std::uint64_t bytes) {
  return run("head -c " + std::to_string(bytes) + " '" + cache.tar.string() + "' | " + executable("vitrine-cache") +
             " unpack - -o '" + cache.target.string() + "'");
}

}  // namespace

TEST_CASE("an unpacked cache is the cache that was packed, and packs to the same bytes") {
  const PackedCache cache;
  const std::string bytes = cache.packed();
  const Unpacked unpacked = unpack(cache.tar.string(), cache.target);
  CHECK(unpacked.files == cache.contents().size());
  CHECK(unpacked.kept == 0);
  CHECK_FALSE(std::filesystem::exists(staging_of(cache)));
  auto files = files_of(cache.target);
  for (const char* added : {"pack.json", "README.md"}) CHECK(files.erase(added) == 1);
  CHECK((files == cache.files()));
  const VerifyReport report = verify_cache(cache.target, {});
  CHECK(report.findings.empty());
  CHECK(report.incomplete.empty());

  const std::vector<PackedFile> again = pack_contents(Cache(cache.target), {}, false);
  pack(manifest_of(cache.plan.hash(), again), again, (cache.root / "again.tar").string());
  CHECK((read_whole(cache.root / "again.tar") == bytes));
  CHECK(unpack(cache.tar.string(), cache.target.string() + "/").kept == unpacked.files);  // nothing to do
}

TEST_CASE(
    "an unpacked cache knows which share of the images was held out, how far they were checked and what is missing") {
  const PackedCache cache;
  const std::string hash = cache.plan.index().hash();
  write_index_record(cache.directory, hash, {IndexDepth::kDecode, {1, 2, 3}, 0.1});
  const std::vector<LeftOut> left_out{{"apple/x.jpg", "is cut off", LeftOutKind::kDamaged}};
  write_left_out(cache.path(kLeftOutFile), left_out);
  const std::string bytes = cache.packed();
  unpack(cache.tar.string(), cache.target);
  const KnownIndex known = known_index(cache.target, read_index(cache.target / "index.h5"));
  CHECK(known.depth == IndexDepth::kDecode);
  CHECK(known.left_out == left_out);
  CHECK(has(message_of([&] { check_hold_out(cache.target.string(), known.hold_out, 0.2); }),
            "was made with hold_out = 0.1, this run has 0.2"));
  CHECK(verify_cache(cache.target, {}).findings.empty());  // no extraction prepared it
  const std::vector<PackedFile> again = pack_contents(Cache(cache.target), {}, false);
  pack(manifest_of(cache.plan.hash(), again), again, (cache.root / "again.tar").string());
  CHECK((read_whole(cache.root / "again.tar") == bytes));
}

TEST_CASE("an unfinished cache can be moved and verified") {
  const PackedCache cache;
  std::filesystem::remove(cache.path(kLogits + "00003.h5"));
  const std::vector<PackedFile> files = cache.contents({}, true);
  pack(manifest_of(cache.plan.hash(), files), files, cache.tar.string());
  unpack(cache.tar.string(), cache.target);
  const VerifyReport report = verify_cache(cache.target, {});
  CHECK(report.findings.empty());
  CHECK(report.incomplete.size() == 1);
}

TEST_CASE("a stopped unpack keeps the files that were whole, and the same command resumes") {
  const PackedCache cache;
  cache.packed();
  const PackManifest manifest = cache.manifest();
  const CommandResult cut = unpack_piped(cache, manifest.offset(7) + 600);
  CHECK(cut.exit_code == 4);
  CHECK(has(cut.output, "standard input: ends at byte " + std::to_string(manifest.offset(7) + 600)));
  CHECK(has(cut.output, "the file is truncated; copy it again"));
  CHECK(cache.is_nothing_there());
  auto kept = files_of(staging_of(cache));
  CHECK(kept.size() == 7 + 1);  // and pack.json
  for (std::size_t i = 0; i < 7; ++i) CHECK(kept.contains(manifest.files()[i].name));

  CHECK(unpack_piped(cache, manifest.offset(9)).exit_code == 4);  // from a pipe again
  const StopFlag stop{true};
  CHECK_THROWS_AS(unpack(cache.tar.string(), cache.target, stop), Stopped);
  CHECK(cache.is_nothing_there());
  // A process that was killed leaves a temporary file, which does not count.
  write_whole(staging_of(cache) / (manifest.files()[9].name + ".part.0.1.2.3"), "half");
  const Unpacked unpacked = unpack(cache.tar.string(), cache.target);
  CHECK(unpacked.kept == 9);
  CHECK(verify_cache(cache.target, {}).findings.empty());
}

TEST_CASE("unpacking never touches what it did not make") {
  const PackedCache cache;
  cache.packed();
  std::filesystem::create_directory(cache.target);
  write_whole(cache.target / "notes.txt", "mine");
  CHECK(has(message_of([&] { unpack(cache.tar.string(), cache.target); }),
            "exists, and is not what this pack was unpacked to; choose another directory"));
  CHECK(files_of(cache.target) == std::map<std::string, std::string>{{"notes.txt", "mine"}});
  std::filesystem::remove_all(cache.target);

  write_whole(staging_of(cache) / "notes.txt", "mine");
  CHECK(has(message_of([&] { unpack(cache.tar.string(), cache.target); }), "was not begun by this command"));
  std::filesystem::remove_all(staging_of(cache));

  const std::vector<PackedFile> some = cache.contents({"features.3"});
  pack(manifest_of(cache.plan.hash(), some), some, (cache.root / "some.tar").string());
  const StopFlag stop{true};
  CHECK_THROWS_AS(unpack(cache.tar.string(), cache.target, stop), Stopped);
  CHECK(has(message_of([&] { unpack((cache.root / "some.tar").string(), cache.target); }),
            "was begun with another pack"));
  CHECK(cache.is_nothing_there());
}

TEST_CASE("an empty directory is unpacked to however its path is written") {
  const PackedCache cache;
  cache.packed();
  const std::string unpack_tar = executable("vitrine-cache") + " unpack '" + cache.tar.string() + "' -o ";
  const auto check_unpacked = [&](const std::string& command) {
    CAPTURE(command);
    std::filesystem::remove_all(cache.target);
    std::filesystem::create_directory(cache.target);
    const CommandResult result = run(command);
    CAPTURE(result.output);
    CHECK(result.exit_code == 0);
    CHECK(verify_cache(cache.target, {}).findings.empty());
    CHECK_FALSE(std::filesystem::exists(staging_of(cache)));
  };
  const std::string target = cache.target.string(), link = (cache.root / "link").string();
  check_unpacked("cd '" + target + "' && " + unpack_tar + ".");
  check_unpacked(unpack_tar + "'" + target + "/.'");
  std::filesystem::create_directory_symlink(cache.target, link);
  check_unpacked(unpack_tar + "'" + link + "'");
  CHECK(std::filesystem::is_symlink(link));
}

TEST_CASE("what cannot be replaced by a cache is refused before the pack is read") {
  const PackedCache cache;
  std::filesystem::create_symlink("nowhere", cache.root / "dangling");
  const auto refusal = [&](const std::filesystem::path& to) { return message_of([&] { unpack("no such pack", to); }); };
  CHECK(has(refusal(cache.root / "dangling"), "dangling: is a link to something that does not exist; remove it"));
  for (const char* mounted : {"/", "/proc", "/proc/."})
    CHECK(has(refusal(mounted), "is where a disk is mounted, and cannot be replaced; name a directory in it"));
}

TEST_CASE("a pack, and what any tar extracts of it, can be checked without writing") {
  const PackedCache cache;
  cache.packed();
  CHECK(check_pack(cache.tar.string()).files == cache.contents().size());
  std::filesystem::create_directory(cache.target);
  REQUIRE(run("tar -xf '" + cache.tar.string() + "' -C '" + cache.target.string() + "'").exit_code == 0);
  CHECK(check_pack(cache.target.string()).differences.empty());
  std::filesystem::remove(cache.target / "plan.json");
  std::string bytes = read_whole(cache.target / "index.h5");
  bytes[bytes.size() / 2] ^= 1;
  write_whole(cache.target / "index.h5", bytes);
  write_whole(cache.target / "README.md", "short");
  const CommandResult result = run(executable("vitrine-cache") + " unpack --check '" + cache.target.string() + "'");
  CHECK(result.exit_code == 1);
  CHECK(has(result.output, "README.md: has 5 bytes instead of "));
  CHECK(has(result.output, "index.h5: has other contents\n"));
  CHECK(has(result.output, "plan.json: is missing\n"));
  CHECK(has(result.output, "3 are not as packed"));
}

TEST_CASE("pack and unpack with --dry-run refuse what they would, name what they would write, and write nothing") {
  const PackedCache cache;
  const auto line = [&](const std::string& words) { return run(executable("vitrine-cache") + " " + words); };
  const std::string tar = "'" + cache.tar.string() + "'", target = "'" + cache.target.string() + "'";
  const std::string pack_words = "pack '" + cache.directory.string() + "' -o " + tar;
  const std::string unpack_words = "unpack " + tar + " -o " + target;
  const CommandResult packed = line(pack_words + " --dry-run");
  CAPTURE(packed.output);
  CHECK(packed.exit_code == 0);
  CHECK(has(packed.output, "would write " + cache.tar.string() + ": "));
  CHECK_FALSE(std::filesystem::exists(cache.tar));
  CHECK_FALSE(std::filesystem::exists(cache.tar.string() + kPackingEnd));
  CHECK(line("pack '" + cache.directory.string() + "' -o - --dry-run").exit_code == 2);
  REQUIRE(line(pack_words).exit_code == 0);
  CHECK(has(line(pack_words + " --dry-run").output, "; it is there already\n"));

  const CommandResult unpacked = line(unpack_words + " --dry-run");
  CAPTURE(unpacked.output);
  CHECK(unpacked.exit_code == 0);
  CHECK(has(unpacked.output, "would write " + cache.target.string() + ": "));
  CHECK(cache.is_nothing_there());
  CHECK_FALSE(std::filesystem::exists(staging_of(cache)));
  write_whole(staging_of(cache) / "notes.txt", "a user's");
  CHECK(has(line(unpack_words + " --dry-run").output, "was not begun by this command"));
  std::filesystem::remove_all(staging_of(cache));
  REQUIRE(line(unpack_words).exit_code == 0);
  CHECK(has(line(unpack_words + " --dry-run").output, "; all are there already\n"));
  write_whole(cache.target / "index.h5", "other");
  CHECK(line(unpack_words + " --dry-run").exit_code == 2);
}
