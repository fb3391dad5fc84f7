// Packs: their bytes, order and names, and how packing resumes after a stop.
#include "tools/pack/pack.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "common/cache/preparation.h"
#include "common/cache/shard_directory.h"
#include "tests/support/message.h"
#include "tests/tools/pack/packed.h"
#include "tools/pack/tar.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

std::string quoted(const std::filesystem::path& path) {
  return "'" + path.string() + "'";
}

}  // namespace

TEST_CASE("a pack is a tar in reading order, and the same for the same files") {
  const PackedCache cache;
  const std::string bytes = cache.packed();
  CHECK(bytes.size() == cache.manifest().tar_bytes());
  const CommandResult listed = run("tar -tf " + quoted(cache.tar));
  CHECK(listed.exit_code == 0);
  const std::vector<std::string> names = lines_of(listed.output);  // warnings of tar would be lines too
  REQUIRE(names.size() == 1 + cache.contents().size());
  CHECK(names[0] == "pack.json");
  CHECK(names[1] == "README.md");
  CHECK(names[2] == "index.h5");
  // All that is not a shard comes before the first shard; then recipes and targets of a shard before the next shard.
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : names) {
    const auto number = shard_number_of(std::filesystem::path(name).filename().string());
    CHECK((number.has_value() || numbers.empty()));
    if (!number) continue;
    CHECK((!numbers.empty() && numbers.back() == *number) == !name.starts_with("recipes/"));
    numbers.push_back(*number);
  }
  CHECK(std::ranges::is_sorted(numbers));
  CHECK(numbers.size() == 4u * (1 + sample_tracks(cache.plan).size()));

  // Neither the directory's name nor the files' times, modes or leftovers matter.
  std::filesystem::copy(cache.directory, cache.root / "copy", std::filesystem::copy_options::recursive);
  std::filesystem::permissions(cache.root / "copy/plan.json", std::filesystem::perms::owner_read);
  write_whole(cache.root / "copy/recipes/00000.h5.damaged", "set aside");
  write_whole(cache.root / "copy/.hidden", "unknown");
  const std::vector<PackedFile> files = pack_contents(Cache(cache.root / "copy"), {}, false);
  pack(manifest_of(cache.plan.hash(), files), files, (cache.root / "copy.tar").string());
  CHECK((read_whole(cache.root / "copy.tar") == bytes));
  // To a pipe as well.
  const CommandResult piped = run(executable("vitrine-cache") + " pack " + quoted(cache.directory) +
                                  " -o - 2>/dev/null | cmp - " + quoted(cache.tar));
  CHECK(piped.exit_code == 0);
}

TEST_CASE("GNU tar reads a pack without a warning, long names and files of 8 GiB included") {
  PackedCache cache;
  cache.pack_as(cache.tar);
  std::filesystem::create_directory(cache.target);
  const CommandResult extracted = run("tar -xf " + quoted(cache.tar) + " -C " + quoted(cache.target));
  CHECK(extracted.exit_code == 0);
  CHECK(extracted.output == "");
  auto files = files_of(cache.target);
  for (const char* added : {"pack.json", "README.md"}) CHECK(files.erase(added) == 1);
  CHECK((files == cache.files()));

  constexpr std::uint64_t kLarge = std::uint64_t{9} << 30;
  const std::string name = std::string(150, 'a') + "/00000.h5", header = tar_header(name, kLarge);
  CHECK(header.size() == 3 * kTarBlock);
  const std::filesystem::path large = cache.root / "large.tar";
  write_whole(large, header);
  std::filesystem::resize_file(large, header.size() + kLarge + kTarEndBytes);  // a hole
  const CommandResult listed = run("tar -tvf " + quoted(large));
  CHECK(listed.exit_code == 0);
  CHECK(listed.output == "-rw-r--r-- 0/0      " + std::to_string(kLarge) + " 2000-01-01 00:00 " + name + "\n");
}

TEST_CASE("a pack of some tracks has their views, and no other tracks") {
  const PackedCache cache;
  const std::vector<PackedFile> files = cache.contents({"tiny.aaaaaaaa/logits", "features.3"});
  std::set<std::string> directories;
  for (const PackedFile& file : files)
    if (file.record.name.find('/') != std::string::npos)
      directories.insert(std::filesystem::path(file.record.name).parent_path().string());
  CHECK(directories == std::set<std::string>{"recipes", "tiny.aaaaaaaa/features.3", "tiny.aaaaaaaa/logits"});
  CHECK(has(message_of([&] { cache.contents({"embedding"}); }), "has no track of the name embedding"));
  // A teacher's name is enough where it is one teacher's.
  CHECK(cache.contents({"tiny/logits"}).size() == cache.contents({"tiny.aaaaaaaa/logits"}).size());
  CHECK(std::ranges::any_of(cache.contents({"tiny/logits"}),
                            [](const PackedFile& file) { return file.record.name == kLogits + "track.json"; }));
  const CommandResult card =
      run(executable("vitrine-cache") + " card " + quoted(cache.directory) + " --tracks tiny/features.3");
  CHECK(card.exit_code == 0);
  CHECK(has(card.output, "features.3"));
}

TEST_CASE("packing resumes wherever it was stopped, and gives the same bytes") {
  const PackedCache cache;
  const std::string whole = cache.packed();
  const PackManifest manifest = cache.manifest();
  const std::filesystem::path out = cache.root / "again.tar", partial = out.string() + kPackingEnd;
  const auto go_on = [&](const std::string& begun) {
    std::filesystem::remove(out);
    write_whole(partial, begun);
    const Packed packed = cache.pack_as(out);
    CHECK((read_whole(out) == whole));
    CHECK_FALSE(std::filesystem::exists(partial));
    return packed.resumed;
  };
  const std::uint64_t third = manifest.offset(3), fourth = manifest.offset(4);
  CHECK(go_on("") == 0);
  CHECK(go_on(whole.substr(0, 700)) == 0);
  CHECK(go_on(whole.substr(0, manifest.head().size())) == manifest.head().size());
  CHECK(go_on(whole.substr(0, third)) == third);
  CHECK(go_on(whole.substr(0, fourth - 1)) == third);
  CHECK(go_on(whole.substr(0, whole.size() - 1)) == whole.size() - kTarEndBytes);
  // What a power failure may leave behind: zeros, or a byte of something else.
  std::string damaged = whole.substr(0, fourth + 100);
  damaged[third + kTarBlock + 1] ^= 1;
  CHECK(go_on(damaged) == third);
  CHECK(go_on(whole.substr(0, fourth) + std::string(100'000, '\0')) == fourth);
  // Another cache's, or this one's before it changed.
  damaged[kTarBlock + 80] ^= 1;
  CHECK(go_on(damaged) == 0);
}

TEST_CASE("a stopped pack leaves no file of its name, and a finished one is left as it is") {
  const PackedCache cache;
  const StopFlag stop{true};
  CHECK_THROWS_AS(cache.pack_as(cache.tar, stop), Stopped);
  CHECK_FALSE(std::filesystem::exists(cache.tar));
  CHECK(std::filesystem::exists(cache.tar.string() + kPackingEnd));
  const Packed packed = cache.pack_as(cache.tar);
  CHECK(packed.resumed < packed.bytes);
  const auto written = std::filesystem::last_write_time(cache.tar);
  CHECK(cache.pack_as(cache.tar).resumed == packed.bytes);
  CHECK(std::filesystem::last_write_time(cache.tar) == written);

  write_whole(cache.tar, "something else");
  CHECK(has(message_of([&] { cache.pack_as(cache.tar); }), "is not the pack of this cache as it is now; remove it"));
  CHECK(read_whole(cache.tar) == "something else");
}

TEST_CASE("a file that differs from its record ends the pack") {
  const PackedCache cache;
  cache.flip_chunk(kLogits + "00001.h5", "values", 0);
  const CommandResult result =
      run(executable("vitrine-cache") + " pack " + quoted(cache.directory) + " -o " + quoted(cache.tar));
  CHECK(result.exit_code == 4);
  CHECK(has(result.output, "logits/00001.h5: differs from the hash that was recorded when it was written; run "));
  CHECK_FALSE(std::filesystem::exists(cache.tar));
}

TEST_CASE("a command in a remedy is quoted for the shell") {
  const PackedCache cache;
  const std::filesystem::path spaced = cache.root / "my cache";
  std::filesystem::rename(cache.directory, spaced);
  write_whole(spaced / (kLogits + kManifestName), Manifest({{"00001.h5", 1, 2}}).json());  // of another file
  CHECK(has(message_of([&] { pack_contents(Cache(spaced), {}, true); }), "repair '" + spaced.string() + "'"));
}

TEST_CASE("paths that are not UTF-8 are packed and unpacked, with replaced bytes in JSON") {
  const PackedCache cache;
  const std::filesystem::path strange = cache.root / "caf\xe9", tar = cache.root / "caf\xe9.tar";
  const std::string program = executable("vitrine-cache");
  const CommandResult packed = run(program + " pack " + quoted(cache.directory) + " --json -o " + quoted(tar));
  CAPTURE(packed.output);
  CHECK(packed.exit_code == 0);
  CHECK(has(packed.output, "caf\xef\xbf\xbd.tar\""));
  const CommandResult unpacked = run(program + " unpack " + quoted(tar) + " --json -o " + quoted(strange));
  CAPTURE(unpacked.output);
  CHECK(unpacked.exit_code == 0);
  CHECK(has(unpacked.output, "caf\xef\xbf\xbd\""));
  CHECK(std::filesystem::exists(strange / "plan.json"));
}

TEST_CASE("an unfinished cache is refused with the command that finishes it, or packed as it is when asked") {
  const PackedCache cache;
  std::filesystem::remove(cache.path(kLogits + "00003.h5"));
  std::string message = message_of([&] { cache.contents(); });
  CHECK(has(message,
            "is not finished: 1 shard of tiny.aaaaaaaa/logits is missing; finish it with vitrine-extract CONFIG"));
  CHECK(has(message, "--set first_pass=1 --set passes=1"));
  CHECK(has(message, "--unfinished"));
  CHECK_NOTHROW(cache.contents({"features.3"}));  // whole by itself
  CHECK_THROWS(cache.contents({"tiny/logits"}));
  const std::vector<PackedFile> files = cache.contents({}, true);
  CHECK(std::ranges::none_of(files, [](const auto& file) { return file.record.name == kLogits + "00003.h5"; }));

  // A track of another program is finished by that.
  const PackedCache own;
  const TrackInfo written = written_track(own.plan);
  create_track(own.directory, written);
  write_sample_shard(own.directory, own.plan, written, 0, 0);
  refresh_manifest(own.directory / written.directory());
  message = message_of([&] { own.contents(); });
  CHECK(has(message, "finish it: run the program that wrote own.aaaaaaaa/logits again (missing() of its"));

  // Passes that were prepared and not begun are missing too.
  const PackedCache other;
  Preparation preparation{other.plan.hash()};
  preparation.add("tiny.aaaaaaaa/logits", {0, 3});
  write_preparation(other.directory, preparation);
  message = message_of([&] { other.contents(); });
  CHECK(has(message, "2 shards of tiny.aaaaaaaa/logits are missing"));
}
