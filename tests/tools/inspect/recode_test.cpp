#include "tools/inspect/recode.h"

#include <atomic>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/cache/writer.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "common/image/index_record.h"
#include "common/image/left_out.h"
#include "common/image/scan.h"
#include "common/image/scan_report.h"
#include "common/image/write.h"
#include "tests/support/message.h"
#include "tests/tools/inspect/damaged.h"
#include "tools/inspect/file_check.h"
#include "tools/inspect/repair.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// Without files that repair has renamed.
std::map<std::string, std::string> files_below(const std::filesystem::path& directory) {
  std::map<std::string, std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.is_regular_file() && entry.path().string().find(".damaged") == std::string::npos)
      out[entry.path().lexically_relative(directory).generic_string()] = read_whole(entry.path());
  return out;
}

std::vector<float> read_group(const Cache& cache, const std::string& name, GroupKey key) {
  const TrackReader reader(cache, cache.track(name));
  TrackReader::Scratch scratch;
  std::vector<float> values(reader.track().view_values() * cache.plan().options().group);
  reader.read(key, scratch, values);
  return values;
}

// A PNG of noise; `damaged`: in its middle, where only decoding finds it.
std::string noisy_png(std::uint32_t number, bool damaged) {
  Image image(40, 40);
  RandomStream draws(number, Purpose::kSample);
  for (auto& value : image.rgb) value = static_cast<std::uint8_t>(draws.bits());
  const std::vector<std::byte> bytes = encode_png(image);
  std::string png(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (damaged) png[png.size() / 2] = static_cast<char>(png[png.size() / 2] ^ 1);
  return png;
}

// Runs a command printed by repair, with the sample as its source.
CommandResult run_named(std::string command, const SampleCache& sample) {
  command.replace(command.find("SOURCE"), 6, text("'", sample.directory.string(), "'"));
  return run(executable("vitrine-cache") + command.substr(std::string("vitrine-cache").size()));
}

}  // namespace

TEST_CASE("a recoded track is in its own cache and keeps the new bound to the source") {
  const SampleCache sample;
  const auto before = sample.files();
  const Cache cache(sample.directory);
  const TrackInfo& from = cache.track("logits", "other");  // fp32
  RecodeOptions options{.to = sample.root / "second", .workers = 1};
  options.codec = {.encoding = Encoding::kUniform, .max_error = 0.25};
  const Recoded made = recode(cache, from, options);
  CHECK(made.shards == 4);
  CHECK(made.views == 2u * 3 * 4);
  CHECK(made.bytes_after > 0);
  CHECK(made.loss.kind == CodecLoss::Kind::kLogits);
  CHECK(made.loss.views == made.views);
  CHECK((sample.files() == before));

  const VerifyReport report = verify_cache(options.to, {});
  CHECK(report.findings.empty());
  CHECK(report.groups == 2u * 3);
  const Cache second(options.to);
  REQUIRE(second.tracks().size() == 1);
  CHECK(second.plan().hash() == cache.plan().hash());
  CHECK(second.recipes({1, 2}) == cache.recipes({1, 2}));
  CHECK(second.picture_hash({1, 2}) == cache.picture_hash({1, 2}));
  const TrackInfo& track = second.tracks()[0];
  CHECK(track.directory() == from.directory());
  CHECK(track.codec == options.codec);
  const EncodingRecord source{.codec = from.codec,
                              .compression = from.compression,
                              .track_sha256 = sha256_hex(read_whole(sample.path(from.directory() + "/track.json")))};
  CHECK(track.recoded_from == std::vector<EncodingRecord>{source});
  CHECK(track.teacher == from.teacher);
  CHECK(track.made_with == from.made_with);
  double worst = 0;
  for (const GroupKey key : {GroupKey{0, 0}, GroupKey{1, 2}}) {
    const std::vector<float> values = sample_values(sample.plan, from, key);
    const std::vector<float> again = read_group(second, "logits", key);
    for (std::size_t i = 0; i < values.size(); ++i)
      worst = std::max(worst, std::abs(static_cast<double>(values[i]) - again[i]));
  }
  CHECK(worst <= 0.25 * (1 + 1e-6));
  CHECK(worst > 0.05);  // it was really coarser

  // Recoded again: the whole chain is recorded.
  RecodeOptions third{.to = sample.root / "third"};
  third.codec = {.encoding = Encoding::kFp16};
  const TrackInfo twice = recode(second, track, third).track;
  REQUIRE(twice.recoded_from.size() == 2);
  CHECK(twice.recoded_from[0] == source);
  CHECK(twice.recoded_from[1].codec == options.codec);
  CHECK(TrackInfo::from_json(read_whole(third.to / twice.directory() / "track.json"), "track.json") == twice);
  const CommandResult info = run(executable("vitrine-cache") + " info '" + third.to.string() + "'");
  CHECK(has(info.output, "fp32; then uniform, max_error 0.25"));
}

TEST_CASE("a recoded track has the hash of its source's track.json as that is, not as it would be written now") {
  const SampleCache sample;
  const Cache before(sample.directory);
  const TrackInfo& from = before.track("features.3");
  std::string json = from.json();
  json.insert(json.size() - std::string("\n}\n").size(), ",\n  \"of_a_later_version\": 1");
  write_whole(sample.path(from.directory() + "/track.json"), with_check(json));
  const Cache cache(sample.directory);
  RecodeOptions options{.to = sample.root / "second"};
  options.codec = {.encoding = Encoding::kFp16};
  CHECK(recode(cache, cache.track("features.3"), options).track.recoded_from.at(0).track_sha256 ==
        sha256_hex(with_check(json)));
}

TEST_CASE("recoding resumes with any number of workers, to the same bytes") {
  const SampleCache sample;
  const Cache cache(sample.directory);
  RecodeOptions options{.to = sample.root / "whole", .workers = 1};
  options.codec = {.encoding = Encoding::kFp16};
  options.compression = {2, 14};
  const TrackInfo& from = cache.track("features.3");
  CHECK(recode(cache, from, options).track.compression == Compression{2, 14});
  const auto whole = files_below(options.to);
  options.to = sample.root / "pieces";
  options.workers = 3;
  recode(cache, from, options);
  std::filesystem::remove(options.to / from.directory() / "00001.h5");
  std::filesystem::remove(options.to / "recipes" / "00002.h5");
  CHECK(recode(cache, from, options).shards == 1);
  CHECK((files_below(options.to) == whole));
}

TEST_CASE("features become a transform track that keeps its bound in every group, with a basis of the source's views") {
  const SampleCache sample;
  const Cache cache(sample.directory);
  RecodeOptions options{.to = sample.root / "small"};
  options.codec = {.encoding = Encoding::kTransform, .max_error = 0.05};
  const Recoded made = recode(cache, cache.track("features.3"), options);
  CHECK(made.loss.centred_by_basis);
  CHECK(made.loss.worst_group <= 0.05);
  CHECK(made.loss.worst_group > 0.005);
  CHECK(std::filesystem::exists(options.to / made.track.directory() / "basis.h5"));
  CHECK(verify_cache(options.to, {}).findings.empty());
  CHECK(recode(cache, cache.track("features.3"), options).shards == 0);
  const auto whole = files_below(options.to);
  // A damaged basis is found, and the rest of the track is still checked.
  std::string basis = read_whole(options.to / made.track.directory() / "basis.h5");
  basis[basis.size() / 2] = static_cast<char>(basis[basis.size() / 2] ^ 1);
  write_whole(options.to / made.track.directory() / "basis.h5", basis);
  const VerifyReport report = verify_cache(options.to, {});
  REQUIRE(!report.findings.empty());
  for (const Finding& finding : report.findings) {
    CHECK(finding.file == made.track.directory() + "/basis.h5");
    CHECK(finding.remedy == Remedy::kRemake);
  }
  // No extraction can make it again; the command printed by repair makes the same bytes.
  const RepairPlan plan = plan_repair(options.to, report);
  REQUIRE(plan.commands.size() == 1);
  CHECK(plan.commands[0].find("vitrine-cache recode SOURCE") == 0);
  carry_out(options.to, plan);
  CHECK(run_named(plan.commands[0], sample).exit_code == 0);
  CHECK((files_below(options.to) == whole));
}

TEST_CASE(
    "the command that repair prints fills a recoded track's gap, also after the source has grown or with few views") {
  const SampleCache sample;
  std::filesystem::remove(sample.path(kFeatures + "00000.h5"));
  RecodeOptions options{.to = sample.root / "small", .calibration_views = 3};
  options.codec = {.encoding = Encoding::kTransform, .max_error = 0.05};
  const auto recode_now = [&] {
    const Cache cache(sample.directory);
    return recode(cache, cache.track("features.3"), options);
  };
  CHECK(recode_now().track.calibration_views == 4);  // whole groups
  auto whole = files_below(options.to);
  const auto repair_all = [&] {
    const RepairPlan plan = plan_repair(options.to, verify_cache(options.to, {}));
    carry_out(options.to, plan);
    REQUIRE(plan.commands.size() == 1);
    const CommandResult result = run_named(plan.commands[0], sample);
    CAPTURE(result.output);
    CHECK(result.exit_code == 0);
  };
  std::filesystem::remove(options.to / (kFeatures + "basis.h5"));
  write_whole(options.to / (kFeatures + "00002.h5"), "damaged");
  repair_all();
  CHECK((files_below(options.to) == whole));

  write_sample_shard(sample.directory, sample.plan, sample_tracks(sample.plan)[1], 0, 0);
  write_whole(options.to / (kFeatures + "00002.h5"), "damaged");
  write_whole(options.to / "recipes/00001.h5", "damaged");
  repair_all();
  auto now = files_below(options.to);
  CHECK(verify_cache(options.to, {}).findings.empty());
  CHECK(now.erase(kFeatures + "00000.h5") == 1);  // the source's new shard
  CHECK(now.erase("recipes/00000.h5") == 1);
  for (const std::string& directory : {std::string("recipes/"), kFeatures}) {
    now.erase(directory + "shards.json");
    whole.erase(directory + "shards.json");
  }
  CHECK((now == whole));
  // A basis lost by then cannot be made again.
  std::filesystem::remove(options.to / (kFeatures + "basis.h5"));
  const CommandResult info = run(executable("vitrine-cache") + " info '" + options.to.string() + "'");
  CHECK(info.exit_code == 1);
  CHECK(has(info.output, "basis.h5: cannot be opened"));
  CHECK(has(message_of(recode_now), "basis.h5: is missing, and the first 4 views"));
}

TEST_CASE("a recoded track's damaged track.json is restored from its shards, without extraction") {
  const SampleCache sample;
  const Cache cache(sample.directory);
  RecodeOptions options{.to = sample.root / "small"};
  options.codec = {
      .encoding = Encoding::kUniform,
      .max_error = 0.1,
  };
  recode(cache, cache.track("logits", "other"), options);
  const auto whole = files_below(options.to);
  const std::string track = "other.aaaaaaaa/logits/";
  const std::string command = executable("vitrine-cache") + " repair '" + options.to.string() + "'";
  for (const char* broken : {"{", ""}) {
    write_whole(options.to / (track + "track.json"), broken);
    CHECK(run(command + " --dry-run")
              .output.find("would rebuild " + track + "track.json from the copies in its shards") != std::string::npos);
    const CommandResult result = run(command);
    CAPTURE(result.output);
    CHECK(result.exit_code == 1);
    CHECK(has(result.output, "rebuilt " + track + "track.json from the copies"));
    CHECK(result.output.find("vitrine-") == std::string::npos);  // no command
    CHECK((files_below(options.to) == whole));
  }
  // If a shard is damaged too, only that shard is made again, by recoding.
  write_whole(options.to / (track + "track.json"), "{");
  write_whole(options.to / (track + "00001.h5"), "damaged");
  const RepairPlan plan = plan_repair(options.to, verify_cache(options.to, {}));
  CHECK(plan.set_aside == std::vector<std::string>{track + "00001.h5"});
  carry_out(options.to, plan);
  CHECK(run(executable("vitrine-cache") + " info '" + options.to.string() + "'").exit_code == 0);
  REQUIRE(plan.commands.size() == 1);
  CHECK(run_named(plan.commands[0], sample).exit_code == 0);
  CHECK((files_below(options.to) == whole));
  // Its recipes also come from the source.
  std::filesystem::remove(options.to / "recipes/00002.h5");
  const RepairPlan recipes = plan_repair(options.to, verify_cache(options.to, {}));
  carry_out(options.to, recipes);
  REQUIRE(recipes.commands.size() == 1);
  CHECK(run_named(recipes.commands[0], sample).exit_code == 0);
  CHECK((files_below(options.to) == whole));
}

TEST_CASE("recode --dry-run refuses what recode would, names what it would write, and writes nothing") {
  const SampleCache sample;
  const std::filesystem::path to = sample.root / "small";
  const std::string command = executable("vitrine-cache") + " recode '" + sample.directory.string() +
                              "' --from other.aaaaaaaa/logits --to '" + to.string() +
                              "' --encoding uniform --max-error ";
  const CommandResult would = run(command + "0.1 --dry-run");
  CAPTURE(would.output);
  CHECK(would.exit_code == 0);
  CHECK(has(would.output, "would write " + (to / "other.aaaaaaaa/logits").string() + ": uniform, max_error 0.1, "));
  CHECK_FALSE(std::filesystem::exists(to));
  REQUIRE(run(command + "0.1").exit_code == 0);
  const auto before = files_below(to);
  CHECK(has(run(command + "0.1 --dry-run").output, "all shards exist already\n"));
  const CommandResult refused = run(command + "0.2 --dry-run");
  CHECK(refused.exit_code == 2);
  CHECK(has(refused.output, "the cache holds another track of this name"));
  CHECK((files_below(to) == before));
}

TEST_CASE("damaged recipes are not copied") {
  const SampleCache sample;
  RecodeOptions options{.to = sample.root / "second"};
  options.codec = {.encoding = Encoding::kFp16};
  const auto refusal = [&] {
    const Cache cache(sample.directory);
    return message_of([&] { recode(cache, cache.track("features.3"), options); });
  };
  sample.flip_chunk("recipes/00001.h5", "recipe", 0);
  const std::string what = refusal();
  CAPTURE(what);
  CHECK(has(what, "recipes/00001.h5: dataset recipe, group 0: "));
  CHECK(has(what, "checksum"));
  CHECK(!std::filesystem::exists(options.to / "recipes/00001.h5"));
  const std::string command = executable("vitrine-cache") + " recode '" + sample.directory.string() +
                              "' --from features.3 --encoding fp16 --to '" + options.to.string() + "'";
  CHECK(run(command).exit_code == exit_code(ErrorKind::kCorrupt));
  sample.flip_chunk("recipes/00001.h5", "recipe", 0);
  const std::string bytes = read_whole(sample.path("recipes/00001.h5"));
  sample.flip("recipes/00001.h5", bytes.find("\x89HDF\r\n\x1a\n") + 1);
  CHECK(has(refusal(), "recipes/00001.h5: HDF5 cannot open it"));
  write_whole(sample.path("recipes/00001.h5"), bytes);
  CHECK(refusal().empty());
  CHECK(verify_cache(options.to, {}).findings.empty());
}

TEST_CASE("recipes with more left-out views than at the last recoding are copied again, fewer are refused") {
  const SampleCache sample;
  RecodeOptions options{.to = sample.root / "second"};
  options.codec = {.encoding = Encoding::kFp16};
  const auto recode_again = [&](const std::string& track) {
    const Cache cache(sample.directory);
    recode(cache, cache.track(track, "tiny"), options);
  };
  const auto leave_out = [&](std::vector<std::vector<std::uint32_t>> views) {
    RecordedViews marked = recorded_views(sample.directory, sample.plan, 0, 0);
    marked.left_out = std::move(views);
    const FileRecord made = write_recipes(sample.directory, sample.plan, 0, 0, marked, {}, Existing::kReplace);
    refresh_manifest(sample.directory / "recipes", {made});
    return marked.left_out;
  };
  recode_again("features.3");
  CHECK(recorded_views(options.to, sample.plan, 0, 0).count() == 0);

  const auto more = leave_out({{1}, {0, 3}});
  recode_again("logits");
  CHECK((recorded_views(options.to, sample.plan, 0, 0).left_out == more));
  CHECK(read_whole(options.to / "recipes/00000.h5") == read_whole(sample.path("recipes/00000.h5")));
  CHECK(verify_cache(options.to, {}).findings.empty());

  leave_out({{1}, {0}});
  const auto before = files_below(options.to);
  CHECK_THROWS_WITH_AS(
      recode_again("attention.3"),
      doctest::Contains("recipes/00000.h5: leaves out views that the source has; recode into another directory"),
      Error);
  CHECK((recorded_views(options.to, sample.plan, 0, 0).left_out == more));
  for (const auto& [name, bytes] : before) CHECK(files_below(options.to).at(name) == bytes);
}

TEST_CASE("views that are left out are blank after recoding, and the basis is calibrated without them") {
  const SampleCache sample;
  // One of the four views of each group; the source has random values there.
  const auto left_out = [](GroupKey key) { return (key.pass + key.group) % 4; };
  for (std::uint32_t pass = 0; pass < 2; ++pass)
    for (std::uint32_t shard = 0; shard < 2; ++shard) {
      RecordedViews marked = recorded_views(sample.directory, sample.plan, pass, shard);
      const ShardSpan span = sample.plan.layout().span_of(ShardKey{pass, shard});
      for (std::uint32_t g = 0; g < span.groups; ++g) marked.left_out[g] = {left_out(span.group(g))};
      write_recipes(sample.directory, sample.plan, pass, shard, marked, {}, Existing::kReplace);
    }
  const Cache cache(sample.directory);
  const TrackInfo& from = cache.track("features.3");
  const std::size_t each = from.view_values();
  Calibrator calibrator(6, 2, 3);
  for (const std::uint32_t pass : {0u, 1u})
    for (std::uint32_t group = 0; group < 3; ++group) {
      std::vector<float> values = read_group(cache, "features.3", {pass, group});
      const auto blank = values.begin() + static_cast<std::ptrdiff_t>(left_out({pass, group}) * each);
      values.erase(blank, blank + static_cast<std::ptrdiff_t>(each));
      calibrator.add(values, 3);
    }

  RecodeOptions options{.to = sample.root / "small"};
  options.codec = {.encoding = Encoding::kTransform, .max_error = 0.05};
  const Recoded made = recode(cache, from, options);
  CHECK(made.loss.worst_group <= 0.05);
  CHECK(made.track.calibration_views == 2u * 3 * 3);
  const FeatureBasis basis = read_basis(options.to / basis_path(made.track));
  CHECK(basis.hash() == calibrator.finish(0.05, 4).hash());
  RecodeOptions plain{.to = sample.root / "plain"};
  plain.codec = {.encoding = Encoding::kFp16};
  recode(cache, from, plain);
  const Cache small(options.to), halves(plain.to);
  for (const GroupKey key : {GroupKey{0, 0}, GroupKey{0, 2}, GroupKey{1, 1}}) {
    const std::vector<float> means = read_group(small, "features.3", key),
                             zeros = read_group(halves, "features.3", key);
    const std::size_t first = left_out(key) * each;
    for (std::size_t i = 0; i < each; ++i) {
      CHECK(means[first + i] == doctest::Approx(basis.mean[i]));
      CHECK(zeros[first + i] == 0);
    }
  }
}

TEST_CASE("what a cache records of its images is in its recoded copy, where a later scan finds the same images") {
  const TemporaryDirectory root;
  const std::filesystem::path images = root / "images", directory = root / "cache";
  for (std::uint32_t i = 0; i < 6; ++i)
    write_whole(images / (i % 2 == 0 ? "ant" : "bee") / (std::to_string(i) + ".png"), noisy_png(i, i == 4));
  const FolderScan scan = scan_images(images, {.depth = IndexDepth::kDecode});
  REQUIRE(scan.left_out.size() == 1);
  REQUIRE(scan_images(images, {}).left_out.empty());  // its header is sound
  const Plan plan(std::make_shared<const ImageIndex>(scan.index), sample_options());
  const std::string hash = scan.index.hash();
  write_sample(directory, plan, 1);
  write_index_record(directory, hash, {scan.depth, scan.counts, 0.25});
  write_left_out(directory / kLeftOutFile, scan.left_out);

  const Cache cache(directory);
  RecodeOptions options{.to = root / "second"};
  options.codec = {.encoding = Encoding::kFp16};
  recode(cache, cache.track("features.3"), options);
  CHECK(read_whole(options.to / kLeftOutFile) == read_whole(directory / kLeftOutFile));
  const KnownIndex known = known_index(options.to, read_index(options.to / "index.h5"));
  CHECK(known.depth == IndexDepth::kDecode);
  CHECK(known.counts == scan.counts);
  CHECK(known.hold_out == 0.25);
  for (const IndexDepth depth : {IndexDepth::kHeaders, IndexDepth::kDecode})
    CHECK(scan_images(images, {.depth = depth}, known).index.hash() == hash);
  CHECK(verify_cache(options.to, {}).findings.empty());

  // The record of an extraction into the copy stays.
  const IndexRecord own{IndexDepth::kHeaders, {0, 0, 5}, 0.25};
  write_index_record(options.to, hash, own);
  recode(cache, cache.track("attention.3"), options);
  CHECK(read_index_record(options.to, hash) == own);
  CHECK(read_whole(options.to / kLeftOutFile) == read_whole(directory / kLeftOutFile));
}

TEST_CASE("several threads write files and compare them with HDF5 concurrently") {
  const SampleCache sample;
  const Container container(sample.path("recipes/00000.h5"));
  const RecordedViews views = recorded_views(sample.directory, sample.plan, 0, 0);
  std::atomic<int> faults{0};
  {
    std::vector<std::jthread> threads;
    for (const char* name : {"one", "two"}) {
      threads.emplace_back([&, name] {
        for (int i = 0; i < 20; ++i)
          write_recipes(sample.root / name, sample.plan, 0, 0, views, {}, Existing::kReplace);
      });
      threads.emplace_back([&] {
        for (int i = 0; i < 40; ++i) faults += check_hdf5(container).has_value();
      });
    }
  }
  CHECK(faults == 0);
  for (const char* name : {"one", "two"}) CHECK(!check_hdf5(Container(sample.root / name / "recipes/00000.h5")));
}

TEST_CASE("info prints a teacher's provenance once, total bytes per view, and the shards' recorded losses") {
  const SampleCache sample;
  const std::string info = executable("vitrine-cache") + " info '";
  const CommandResult words = run(info + sample.directory.string() + "'");
  REQUIRE(words.exit_code == 0);
  const auto times = [&](const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = words.output.find(part); at != std::string::npos; at = words.output.find(part, at + 1))
      ++count;
    return count;
  };
  // For three tracks: weights, family and 6 sizes, mean, std, crop, interpolation, classes; the device's 4 fields,
  // precision, micro-batch, a library.
  CHECK(times("tiny.aaaaaaaa  ") == 13 + 7);
  CHECK(times("  device.name  ") == sample_tracks(sample.plan).size() - 2);
  CHECK(words.output.find("losses") == std::string::npos);

  const Cache cache(sample.directory);
  RecodeOptions options{.to = sample.root / "second"};
  options.codec = {.encoding = Encoding::kUniform, .max_error = 0.5};
  const Recoded made = recode(cache, cache.track("logits", "other"), options);
  CHECK(has(run(info + options.to.string() + "'").output, "measured losses"));
  const auto json = nlohmann::json::parse(run(info + options.to.string() + "' --json").output);
  const auto& loss = json["tracks"][0]["loss"];
  const auto whole = nlohmann::json::parse(made.loss.json());
  CHECK(loss["kl_1"].get<double>() == doctest::Approx(whole["kl_1"].get<double>()).epsilon(1e-4));
  CHECK(loss["worst_kl_4"] == whole["worst_kl_4"]);
  CHECK(loss["agreement"].get<double>() == doctest::Approx(whole["agreement"].get<double>()).epsilon(1e-4));
}

TEST_CASE("impossible recodings are refused in one sentence") {
  const SampleCache sample;
  const std::string command = executable("vitrine-cache") + " recode '" + sample.directory.string() + "'",
                    second = " --to '" + (sample.root / "second").string() + "'";
  struct Case {
    std::string arguments, words;
  };
  const std::vector<Case> cases{
      {" --from features.3 --encoding fp16 --to '" + sample.directory.string() + "'", "is the cache itself"},
      {" --from features.7 --encoding fp16" + second, "no track"},
      {" --from features.3 --encoding fp15" + second, "fp15"},
      {" --from features.3 --encoding topk --kept 2" + second, "topk"},
      {" --from features.3 --encoding sqrt8" + second, "view"},
      {" --from features.3 --encoding fp16 --window 9" + second, "2^9"},
      {" --from features.3 --encoding fp16 --level 0" + second, "level 0"},
      {" --from other.aaaaaaaa/logits --encoding uniform" + second, "as uniform"},
      {" --from features.3 --encoding fp16", "--to"},
  };
  for (const Case& bad : cases) {
    const CommandResult result = run(command + bad.arguments);
    CAPTURE(bad.arguments);
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(has(result.output, bad.words));
  }
  CHECK(run(command + " --from features.3 --encoding fp16" + second).exit_code == 0);
  const CommandResult other = run(command + " --from features.3 --encoding fp32" + second);
  CHECK(other.exit_code == 2);  // another track of this name is there
  CHECK(has(other.output, "encoding"));
  const CommandResult json =
      run("( " + command + " --from other.aaaaaaaa/logits --encoding topk --kept 2 --temperatures 1,4 --json --to '" +
          (sample.root / "third").string() + "' 2> /dev/null )");
  REQUIRE(json.exit_code == 0);
  const auto out = nlohmann::json::parse(json.output);
  CHECK(out["shards"] == 4);
  CHECK(out["loss"].contains("kl_4"));
}
