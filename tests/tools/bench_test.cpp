// The figures of vitrine-bench: those that can be counted are counted again here.
#include <ATen/ATen.h>

#include <sstream>

#include "common/cache/cache.h"
#include "tests/extract/fixture.h"
#include "tests/support/message.h"
#include "tests/support/skip.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::executable;
using vitrine::testing::ExtractFixture;
using vitrine::testing::has;
using vitrine::testing::run;
using vitrine::testing::write_whole;

namespace {

CommandResult bench(const std::string& arguments) {
  return run(executable("vitrine-bench") + " " + arguments);
}

// The figure printed after `what`, without padding and grouping.
double figure_of(const CommandResult& result, const std::string& what) {
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(what)) continue;
    std::string digits;
    for (const char c : line.substr(what.size()))
      if (c != ',') digits += c;
    return std::stod(digits);
  }
  FAIL("no line begins with ", what);
  return 0;
}

struct BenchFixture : ExtractFixture {
  std::string made(const std::string& name, const std::vector<std::string>& settings = {}) const {
    const CommandResult result = extract(name, settings);
    INFO(result.output);
    REQUIRE(result.exit_code == 0);
    return "'" + (root / name).string() + "'";
  }
};

}  // namespace

TEST_CASE("bench cache compares the bytes of a cache's files with its images'") {
  const BenchFixture fixture;
  const CommandResult result = bench("codec --curve 0 --synthetic 0 --targets " + fixture.made("cache"));
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  double shards = 0, bases = 0, images = 0;
  for (const auto& [name, bytes] : fixture.files("cache")) {
    if (name.ends_with("/basis.h5"))
      bases += static_cast<double>(bytes.size());
    else if (name.ends_with(".h5") && name != "index.h5" && !name.starts_with("recipes/"))
      shards += static_cast<double>(bytes.size());
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(fixture.images))
    if (entry.is_regular_file()) images += static_cast<double>(entry.file_size());
  CHECK(figure_of(result, "bytes per view on the disk, shards whole") == doctest::Approx(shards / 32).epsilon(0.005));
  CHECK(figure_of(result, "and its share of the bases") == doctest::Approx(bases / 32).epsilon(0.005));
  const std::string file = "an image's file: ";
  REQUIRE(has(result.output, file));
  CHECK(figure_of({0, result.output.substr(result.output.find(file))}, file) ==
        doctest::Approx(images / 15).epsilon(0.005));
}

TEST_CASE("bench codec encodes features within the bound and compares the baseline and the plain codecs") {
  const BenchFixture fixture;
  const std::string cache =
      fixture.made("cache", {"taps.features_encoding=fp32", "taps.attention=[]", "taps.logits=false", "passes=8"});
  const CommandResult result = bench("codec --curve 1 --synthetic 0 --group 16 --cache " + cache);
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  for (const char* part : {"features.0", "features.1", "the baseline", "int8", "by error bound"})
    CHECK(has(result.output, part));
  CHECK(figure_of(result, "worst group's error") <= 1);
  CHECK_FALSE(has(result.output, "did not run"));
}

TEST_CASE("bench read reports decompressed bytes, and reads a transform track in two ways") {
  const BenchFixture fixture;
  const std::string plain = fixture.made("plain", {"taps.features_encoding=int8", "taps.logits_encoding=fp16"});
  const CommandResult result = bench("read --rounds 1 --cache " + plain);
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(has(result.output, ">= 80 %"));
  CHECK_FALSE(has(result.output, "student"));
  double frames = 0;
  const Cache cache(fixture.root / "plain");
  for (const TrackInfo& track : cache.tracks())
    for (const std::uint64_t number : {0, 1}) {  // of pass 0
      const Container shard(cache.directory() / track.directory() / shard_file_name(number));
      for (std::size_t d = 0; d < shard.datasets().size(); ++d)
        for (std::uint64_t c = 0; c < shard.datasets()[d].chunk_count; ++c)
          frames += static_cast<double>(shard.place(d, c).bytes);
    }
  CHECK(figure_of(result, "bytes per view") == doctest::Approx(frames / 16).epsilon(0.005));

  const CommandResult coded = bench("read --rounds 1 --cache " + fixture.made("coded"));
  CAPTURE(coded.output);
  REQUIRE(coded.exit_code == 0);
  CHECK(figure_of(coded, "views per core-second, as the student's workers read them") > 0);
  CHECK_FALSE(has(coded.output, ">= 80 %"));
}

TEST_CASE("bench package compares the Python package with the C++ reader, track by track and in the pictures") {
  if (!std::filesystem::exists(executable("../lib/libvitrine_native.so"))) {
    vitrine::testing::skip("this build has no compiled codec for Python");
    return;
  }
  const BenchFixture fixture;
  const std::string cache = fixture.made("cache"), images = " --images '" + fixture.images.string() + "'";
  const CommandResult result = bench("package --rounds 1 --turns 2 --cache " + cache + images);
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  const Cache opened(fixture.root / "cache");
  for (const TrackInfo& track : opened.tracks())
    CHECK(figure_of(result, "views per core-second, " + track.directory()) > 0);
  CHECK(figure_of(result, "views per core-second, pictures") > 0);
  CHECK(figure_of(result, "views per core-second, all of these") > 0);
  CHECK(has(result.output, "as coefficients"));
  CHECK(has(result.output, "C++: "));
  CHECK(has(bench("package" + images).output, "give --cache too"));
}

namespace {

// "1,234.5 %" as a number.
double number_in(const std::string& words) {
  std::string digits;
  for (const char c : words)
    if (c != ',') digits += c;
  return std::stod(digits);
}

// Checks that a printed line has figure / limit = ratio, within the printed digits. Returns the ratio.
double checked_ratio(const CommandResult& result, const std::string& what, const std::string& against) {
  CAPTURE(what);
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t limit = line.find(against);
    if (!line.starts_with(what) || limit == std::string::npos) continue;
    CAPTURE(line);
    const std::string tail = line.substr(limit + against.size());
    const std::size_t gap = tail.find_first_of("0123456789");
    REQUIRE(gap != std::string::npos);
    const std::size_t end = tail.find("  ", gap), unit = tail.find_first_of("%x", end);
    REQUIRE(unit != std::string::npos);
    const double scale = tail[unit] == '%' ? 100 : 1, ratio = number_in(tail.substr(end)) / scale;
    CHECK(ratio == doctest::Approx(number_in(line.substr(what.size())) / number_in(tail.substr(gap))).epsilon(0.06));
    return ratio;
  }
  FAIL("no line of it");
  return 0;
}

// Of the stored frames of pass 0.
double frame_bytes(const std::filesystem::path& directory) {
  double bytes = 0;
  const Cache cache(directory);
  for (const TrackInfo& track : cache.tracks())
    for (std::uint32_t number = 0; number < cache.plan().shards_per_pass(); ++number) {
      const Container shard(directory / track.directory() / shard_file_name(number));
      for (std::size_t d = 0; d < shard.datasets().size(); ++d)
        for (std::uint64_t c = 0; c < shard.datasets()[d].chunk_count; ++c)
          bytes += static_cast<double>(shard.place(d, c).bytes);
    }
  return bytes;
}

}  // namespace

TEST_CASE("bench compares reading with Python, and memory and opening with their limits") {
  const vitrine::testing::TemporaryDirectory place;
  const CommandResult result =
      bench("read --groups 2 --passes 2 --rounds 1 --shards 200 --directory '" + place.path().string() + "'");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK_FALSE(has(result.output, "did not run"));
  // Countable figures are counted again; for others the printed arithmetic is checked.
  for (const auto& [what, directory] :
       {std::pair{"bytes per view, level 1", "cache"}, std::pair{"bytes per view, level -1", "plain"},
        std::pair{"bytes per view, the default encodings", "usual"}})
    CHECK(figure_of(result, what) == doctest::Approx(frame_bytes(place / directory) / 128).epsilon(0.005));
  checked_ratio(result, "the same", "h5py + hdf5plugin + torch: ");
  checked_ratio(result, "views per core-second, to floats; level 1", "zstd alone: ");
  CHECK(has(result.output, "seconds to open 200 shards of 64 groups"));
  CHECK(checked_ratio(result, "bytes of memory per group", "limit: ") < 1);
  CHECK(has(result.output, "resident memory after a cache 2 times as large"));
}

TEST_CASE("a large cache costs one permutation per pass") {
  const CommandResult result = bench("scale --images 20000 --passes 12 --shards 240 --tracks 2 --threads 4");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(has(result.output, "A cache of 20,032 images and 12 passes in 240 shards of each of 2 tracks"));
  CHECK(checked_ratio(result, "permutations drawn", "passes: ") == 1);
  for (const char* part : {"ms to open the cache", "ms to list 2 tracks of 240 shards", "readdir: "})
    CHECK(has(result.output, part));
}

TEST_CASE("a frozen forward is held against autocast, and against timm where Python has it") {
  const std::string arguments = "forward --arch vit_tiny_patch32_64 --views 2 --rounds 1";
  const CommandResult result = bench(arguments + " --python /nonexistent/python");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(has(result.output, "vit_tiny_patch32_64, 2 views on one thread:"));
  CHECK(has(result.output, "BF16, autocast "));
  CHECK_FALSE(has(result.output, "timm, autocast"));
  CHECK(checked_ratio(result, "error of the logits, frozen", "BF16, autocast ") < 1.5);
  CHECK(has(bench("forward --arch vit_tiny").output, "unknown architecture \"vit_tiny\""));
}

TEST_CASE("impossible measurements are refused in one sentence") {
  const BenchFixture fixture;
  const std::string cache = fixture.made("cache");
  for (const auto& [arguments, parts] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"codec --synthetic 0 --cache " + cache,
            {"no feature track of the encoding fp32", "taps.features_encoding"}},
           {"codec --synthetic 0 --targets '" + (fixture.root / "none").string() + "'", {"none"}},
           {"read --rounds 0", {"--rounds"}},
           {"read --cache '" + (fixture.root / "none").string() + "'", {"none"}},
           {"sing",
            {"unknown subcommand \"sing\"; expected one of codec, extract, forward, inference, package, read, scale"}},
           {"", {"expected one of codec, extract, forward, inference, package, read, scale"}},
           {"read --roundes 3", {"--roundes"}}}) {
    CAPTURE(arguments);
    const CommandResult result = bench(arguments);
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    for (const std::string& part : parts) CHECK(has(result.output, part));
  }
}

TEST_CASE("bench extract adds up its stages, and compares each with the peer's") {
  const BenchFixture fixture;
  const std::filesystem::path peer = fixture.root / "peer.sh";
  write_whole(peer,
              "#!/bin/sh\necho '{\"eager\": 40, \"compiled\": 36, \"openvino\": 32, \"eager_fp32\": 27, \"decode\": 4, "
              "\"forward\": 41, \"write\": 2, \"compress\": 1, \"whole\": 47}'\n");
  std::filesystem::permissions(peer, std::filesystem::perms::owner_all);
  const std::string command =
      "extract --arch vit_tiny_patch32_64 --views 20 --rounds 1 --images '" + fixture.images.string() + "' --python '";
  const CommandResult result = bench(command + peer.string() + "'");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(has(result.output, "32 views"));  // whole groups
  const double sum = figure_of(result, "decode, crop, mix") + figure_of(result, "forward with targets") +
                     figure_of(result, "encode") + figure_of(result, "write");
  CHECK(has(result.output, "<= 103 %"));
  CHECK(checked_ratio(result, "whole", "sum of the stages") ==
        doctest::Approx(figure_of(result, "whole") / sum).epsilon(0.05));
  CHECK(checked_ratio(result, "decode, crop, mix", "torchvision") > 0);
  const double rest = sum - figure_of(result, "forward with targets");
  CHECK(checked_ratio(result, "all but the forward", "peer, fp16 arrays") == doctest::Approx(rest / 6).epsilon(0.1));
  CHECK(checked_ratio(result, "all but the forward", "peer, compressed") == doctest::Approx(rest / 5).epsilon(0.1));
  for (const char* line : {"timm eager, BF16 40.0 core-ms/view", "the better of these two 32.0 core-ms/view",
                           "timm eager, FP32 27.0 core-ms/view", ">= 1.3 x", ">= 0.95 x", "<= 60 %"})
    CHECK(has(result.output, line));
  CHECK_FALSE(has(result.output, "OpenVINO, FP32"));

  const CommandResult swept = bench(command + "/nowhere/python' --micro-batch 4 32");
  CAPTURE(swept.output);
  CHECK(swept.exit_code == 0);
  for (const char* line : {"micro-batches of 4,", "micro-batches of 32,", "\nmicro-batch 4 ", "\nmicro-batch 32 "})
    CHECK(has(swept.output, line));
  const CommandResult refused = bench(command + "/nowhere/python' --micro-batch 24");
  CHECK(refused.exit_code == 2);
  CHECK(has(refused.output, "--micro-batch 24 is not allowed; expected 1, 2, 4, 8, 16 or a multiple of 32"));

  const CommandResult alone = bench(command + "/nowhere/python'");
  CHECK(alone.exit_code == 0);
  CHECK_FALSE(has(alone.output, "by micro-batch"));
  CHECK(has(alone.output, "sum of the stages"));
  CHECK_FALSE(has(alone.output, "timm"));
}
