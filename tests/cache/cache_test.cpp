#include "common/cache/cache.h"

#include <atomic>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/cache/container_writer.h"
#include "common/cache/teacher_classes.h"
#include "common/codec/make_codec.h"
#include "tests/cache/sample.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::vector<float> through_codec(const Plan& plan, const TrackInfo& track, GroupKey key) {
  const std::unique_ptr<const Codec> codec = make_codec(track.codec, track.shape);
  const std::vector<Array> arrays = codec->encode(sample_values(plan, track, key), plan.options().group);
  std::vector<std::span<const std::byte>> bytes;
  for (const Array& array : arrays) bytes.push_back(array.bytes);
  std::vector<float> values(track.view_values() * plan.options().group);
  codec->decode(bytes, plan.options().group, values);
  return values;
}

}  // namespace

TEST_CASE("index, plan, recipes and targets round-trip through a cache") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 2);
  const Cache cache(directory.path());
  CHECK(cache.index() == plan.index());
  CHECK(cache.plan().json() == plan.json());
  CHECK(cache.recipe_passes() == std::vector<std::uint32_t>{0, 1});
  for (std::uint32_t pass = 0; pass < 2; ++pass)
    for (std::uint32_t group = 0; group < 3; ++group) {
      CHECK(cache.recipes({pass, group}) == plan.group(pass, group));
      CHECK(cache.picture_hash({pass, group}) == sample_picture_hash({pass, group}));
    }
  REQUIRE(cache.tracks().size() == sample_tracks(plan).size());
  for (const TrackInfo& wanted : sample_tracks(plan)) {
    const TrackInfo& track = cache.track(wanted.name(), wanted.teacher.name);
    CHECK(track == wanted);
    const TrackReader reader(cache, track);
    CHECK(reader.passes() == std::vector<std::uint32_t>{0, 1});
    CHECK(reader.shards() == 4);
    CHECK(reader.stored_views() == 24);
    TrackReader::Scratch scratch;
    for (std::uint32_t pass = 0; pass < 2; ++pass)
      for (std::uint32_t group = 0; group < 3; ++group) {
        std::vector<float> out(track.view_values() * 4);
        reader.read({pass, group}, scratch, out);
        CHECK(out == through_codec(plan, track, {pass, group}));
      }
  }
}

TEST_CASE("a topk track returns the largest logits, their classes and the mass of the others") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 1);
  const Cache cache(directory.path());
  const TrackReader reader(cache, cache.track("logits", "few"));
  TrackReader::Scratch scratch;
  std::vector<float> values(8), tail(8);
  std::vector<std::uint32_t> indices(8);
  for (std::uint32_t group = 0; group < 3; ++group) {
    reader.read_kept({0, group}, scratch, values, indices, tail);
    const std::vector<float> logits = sample_values(plan, reader.track(), {0, group});
    for (std::size_t view = 0; view < 4; ++view) {
      std::vector<float> row(logits.begin() + static_cast<std::ptrdiff_t>(5 * view),
                             logits.begin() + static_cast<std::ptrdiff_t>(5 * view + 5));
      double all = 0, kept = 0;
      for (const float x : row) all += std::exp(x / 4.0);
      for (const std::size_t k : {2 * view, 2 * view + 1}) {
        CHECK(std::fabs(values[k] - row[indices[k]]) <= 0.01f + 1e-6f);
        kept += std::exp(row[indices[k]] / 4.0);
      }
      CHECK(values[2 * view] >= values[2 * view + 1]);
      CHECK(std::exp(tail[2 * view]) + kept == doctest::Approx(all).epsilon(1e-5));
    }
  }
  const TrackReader dense(cache, cache.track("logits", "tiny"));
  CHECK(has(message_of([&] { dense.read_kept({0, 0}, scratch, values, indices, tail); }), "is stored as fp16"));
  CHECK(has(message_of([&] { reader.read_kept({0, 3}, scratch, values, indices, tail); }), "group 3 does not exist"));
}

TEST_CASE("several threads read one track concurrently") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(40), sample_options());
  write_sample(directory.path(), plan, 1);
  const Cache cache(directory.path());
  const TrackReader reader(cache, cache.track("features.3"));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      TrackReader::Scratch scratch;
      std::vector<float> out(36 * 4);
      for (std::uint32_t group = 0; group < plan.groups_per_pass(); ++group) {
        reader.read({0, group}, scratch, out);
        wrong += out != through_codec(plan, reader.track(), {0, group});
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a pass is available when all of its shards exist") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 3);
  const TrackInfo track = sample_tracks(plan)[0];
  std::filesystem::remove(directory.path() / track.directory() / "00003.h5");
  CHECK(!shard_exists(directory.path(), track, plan, 1, 1));
  CHECK(shard_exists(directory.path(), track, plan, 1, 0));
  CHECK(recipes_exist(directory.path(), plan, 1, 1));
  const Cache cache(directory.path());
  const TrackReader reader(cache, track);
  CHECK(reader.passes() == std::vector<std::uint32_t>{0, 2});
  TrackReader::Scratch scratch;
  std::vector<float> out(20);
  CHECK(has(message_of([&] { reader.read({1, 2}, scratch, out); }), "00003.h5: is missing"));
  CHECK(has(message_of([&] { reader.read({1, 3}, scratch, out); }), "group 3 does not exist"));
}

TEST_CASE("a misplaced shard, a foreign track and an edited plan are refused") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 2);
  const TrackInfo track = sample_tracks(plan)[0];
  const std::filesystem::path place = directory.path() / track.directory();
  std::filesystem::rename(place / "00000.h5", place / "00002.h5");
  {
    const Cache cache(directory.path());
    const TrackReader reader(cache, track);
    TrackReader::Scratch scratch;
    std::vector<float> out(20);
    CHECK(has(message_of([&] { reader.read({1, 0}, scratch, out); }), "00002.h5: has pass 0, expected 1"));
    CHECK(!message_of([&] { reader.read({1, 0}, scratch, out); }).empty());  // and again after a refusal
  }
  TrackInfo foreign = track;
  foreign.teacher.name = "foreign", foreign.plan_hash = std::string(64, '0');
  create_track(directory.path(), foreign);
  const auto asked = [&](const std::string& teacher) {
    return message_of([&] { Cache(directory.path()).track("logits", teacher); });
  };
  CHECK(has(asked("foreign"), "was made for another plan"));
  std::filesystem::remove_all(directory.path() / std::filesystem::path(foreign.directory()).parent_path());
  std::string json = read_whole(directory / "plan.json");
  write_whole(directory / "plan.json", json.replace(json.find("\"seed\": 5"), 9, "\"seed\": 6"));
  CHECK(has(asked("tiny"), "was made for another plan"));
  json.insert(json.size() - 1, " ");
  write_whole(directory / "plan.json", json);
  CHECK(has(message_of([&] { Cache cache(directory.path()); }), "or was edited"));
}

TEST_CASE("a shard's copy of track.json may have an unknown key of a later version, but no unknown setting") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 1);
  const TrackInfo track = sample_tracks(plan)[0];
  const std::filesystem::path place = directory.path() / track.directory();
  const auto read_with = [&](const char* key, const nlohmann::ordered_json& value) {
    const std::filesystem::path path = place / "00001.h5", aside = place / "rewritten";
    const Container file(path);
    auto json = nlohmann::ordered_json::parse(file.json());
    json["track"][nlohmann::ordered_json::json_pointer(key)] = value;
    std::vector<DatasetSpec> specs;
    std::vector<std::vector<std::byte>> arrays;
    Container::Scratch scratch;
    for (std::size_t d = 0; d < file.datasets().size(); ++d) arrays.push_back(file.read_all(d, scratch));
    for (std::size_t d = 0; d < file.datasets().size(); ++d) {
      const DatasetInfo& info = file.datasets()[d];
      specs.push_back({info.name, info.dtype, info.shape, info.chunk_rows, {arrays[d]}});  // of one chunk
    }
    write_container(aside, specs, json.dump(), 1);
    std::filesystem::rename(aside, path);
    const Cache cache(directory.path());
    const TrackReader reader(cache, track);
    TrackReader::Scratch reading;
    std::vector<float> out(track.view_values() * 4);
    return message_of([&] { reader.read({0, 2}, reading, out); });
  };
  for (const char* key : {"/later", "/teacher/later", "/made_with/later", "/made_with/device/later"})
    CHECK(read_with(key, "words") == "");
  CHECK(has(read_with("/codec", {{"later", 1}}), "codec.later is a setting that this program does not know"));
  CHECK(read_with("/codec", nlohmann::ordered_json::object()) == "");
  CHECK(has(read_with("/made_with/libraries/later", "1"), "track.made_with.libraries.later \"1\", expected nothing"));
  CHECK(read_with("/made_with/libraries", {{"libtorch", "2.11.0"}}) == "");
  CHECK(has(read_with("/window", 20), "track.window 20, expected nothing"));
  CHECK(
      has(read_with("/teacher/architecture/registers", 4), "track.teacher.architecture.registers 4, expected nothing"));
}

TEST_CASE("an index records how its pictures are decoded, and a cache decoded differently is refused") {
  for (const Decoding decoding : {Decoding{}, Decoding{true, false}, Decoding{false, true}, Decoding{true, true}}) {
    CAPTURE(decoding.describe());
    const TemporaryDirectory directory;
    ImageIndex index = *sample_index(11);
    index.decoding = decoding;
    const Plan plan(std::make_shared<const ImageIndex>(index), sample_options());
    create_cache(directory.path(), index, plan);
    CHECK(read_index(directory / "index.h5") == index);
    CHECK(Cache(directory.path()).index().decoding == decoding);
    ImageIndex other = index;
    other.decoding.scale_grey16 = !decoding.scale_grey16;
    CHECK(other.hash() != index.hash());
    const Plan another(std::make_shared<const ImageIndex>(other), sample_options());
    CHECK(has(message_of([&] { create_cache(directory.path(), other, another); }),
              "the cache holds another index: it has " + decoding.describe() + ", now " + other.decoding.describe()));
  }
}

TEST_CASE("a bad track does not prevent opening the cache, and using it gives the reason") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 1);
  write_whole(directory / "few.aaaaaaaa/logits/track.json", "{");
  std::filesystem::remove(directory / "half.aaaaaaaa/logits/track.json");
  std::filesystem::create_directories(directory / "notes/of mine");
  const Cache cache(directory.path());
  CHECK(cache.tracks().size() == sample_tracks(plan).size() - 2);
  REQUIRE(cache.bad_tracks().size() == 2);
  CHECK(cache.bad_tracks()[0].directory == "few.aaaaaaaa/logits");
  CHECK(has(cache.bad_tracks()[0].error.what(), "few.aaaaaaaa/logits/track.json: is not a track.json"));
  CHECK(cache.bad_tracks()[1].directory == "half.aaaaaaaa/logits");
  CHECK(has(cache.bad_tracks()[1].error.what(), "is missing, but there are shards"));
  const auto asked = [&](const std::string& name, const std::string& teacher) {
    return message_of([&] { cache.track(name, teacher); });
  };
  CHECK(asked("features.3", "").empty());
  CHECK(asked("logits", "tiny").empty());
  for (const char* teacher : {"few", "few.aaaaaaaa"})
    CHECK(asked("logits", teacher) == cache.bad_tracks()[0].error.what());
  CHECK(has(asked("logits", "half"), "is missing, but there are shards"));
  CHECK(has(asked("logits", "w"), "few.aaaaaaaa/logits (not readable)"));
  // Which track is selected does not depend on damage.
  for (const char* teacher : {"tiny", "other", "uniform"})
    std::filesystem::remove_all(directory / (std::string(teacher) + ".aaaaaaaa/logits"));
  std::filesystem::remove_all(directory / "half.aaaaaaaa");
  CHECK(message_of([&] { Cache(directory.path()).track("logits"); }) == cache.bad_tracks()[0].error.what());
}

TEST_CASE("logits that record their class names are not read without the file of these names") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 1);
  const std::vector<std::string> names{"b\xC3\xA4r", "apple", "fig", "kiwi", "plum"};
  TrackInfo track = sample_tracks(plan)[0];
  track.teacher.name = "named", track.class_names_sha256 = class_names_sha256(names);
  create_track(directory.path(), track);
  write_sample_shard(directory.path(), plan, track, 0, 0);
  const auto opened = [&] { return message_of([&] { Cache(directory.path()).track("logits", "named"); }); };
  CHECK(has(opened(), "named.aaaaaaaa/classes.json: is missing, and without it the classes of named.aaaaaaaa/logits"));
  const std::filesystem::path file = directory / "named.aaaaaaaa" / kTeacherClassesFile;
  write_teacher_classes(directory.path(), "named.aaaaaaaa", {names[1], names[0], names[2], names[3], names[4]});
  CHECK(has(opened(), "classes.json: has other class names than named.aaaaaaaa/logits was made with; copy both"));
  std::filesystem::remove(file);
  write_teacher_classes(directory.path(), "named.aaaaaaaa", names);
  CHECK(opened().empty());
  CHECK(Cache(directory.path()).bad_tracks().empty());
  const Cache cache(directory.path());
  TrackReader(cache, cache.track("logits", "named")).shard_directory().open(0);
  write_whole(file, "[");
  CHECK(has(opened(), "classes.json"));
  CHECK(message_of([&] { Cache(directory.path()).track("logits", "tiny"); }).empty());  // records none
}

TEST_CASE("a shard of another track is refused with the differing fields") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 1);
  TrackInfo track = sample_tracks(plan)[0];
  track.compression.level = 2;
  track.made_with.precision = "bf16", track.made_with.device.libraries["zlib"] = "1";
  write_whole(directory / track.directory() / "track.json", track.file_text());
  const Cache cache(directory.path());
  const TrackReader reader(cache, cache.track("logits", "tiny"));
  const std::string what = message_of([&] { reader.shard_directory().open(0); });
  CHECK(has(what,
            "00000.h5: has track.level 1, expected 2, track.made_with.precision \"fp32\", expected \"bf16\", "
            "track.made_with.libraries.zlib nothing, expected \"1\"; the file belongs to another cache"));
}
