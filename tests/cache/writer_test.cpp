#include "common/cache/writer.h"

#include <atomic>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/cache/cache.h"
#include "common/cache/track.h"
#include "common/codec/make_codec.h"
#include "tests/cache/sample.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

TEST_CASE("writing a cache twice gives equal bytes") {
  const TemporaryDirectory a, b;
  const Plan plan(sample_index(11), sample_options());
  write_sample(a.path(), plan, 1);
  write_sample(b.path(), plan, 1);
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(a.path()))
    if (entry.is_regular_file()) {
      CHECK(read_whole(entry.path()) == read_whole(b.path() / std::filesystem::relative(entry.path(), a.path())));
      ++files;
    }
  CHECK(files == 2 + 2 + 7 * 3);
}

TEST_CASE("existing metadata is accepted if equal, else refused with its first difference") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  create_cache(directory.path(), plan.index(), plan);
  create_cache(directory.path(), plan.index(), plan);
  const auto refused = [&](const ImageIndex& index, const PlanOptions& options) {
    const Plan other(std::make_shared<const ImageIndex>(index), options);
    return message_of([&] { create_cache(directory.path(), index, other); });
  };
  PlanOptions options = sample_options();
  options.flip = 0.25;
  CHECK(refused(plan.index(), options)
            .find("plan.json: the cache holds another plan: settings.flip is 0.5, but 0.25 in this run") !=
        std::string::npos);
  ImageIndex index = plan.index();
  index.images[3].label = 0;
  CHECK(has(refused(index, sample_options()), "image 3 (b\xC3\xA4r/9.jpg) had label 1, now 0"));
  index = plan.index();
  index.images[4].hash = 1;
  CHECK(has(refused(index, sample_options()), "image 4 (apple/16.jpg) has other contents"));
  CHECK(has(refused(*sample_index(10), sample_options()), "it has 11 images, now there are 10; "));
  index = plan.index();
  const std::string third = index.images[2].id;
  index.images.erase(index.images.begin() + 2);
  CHECK(has(refused(index, sample_options()), "now there are 10; " + third + " is gone; use"));
  index = plan.index();
  index.images.push_back(index.images.back());
  index.images.back().id += "x";
  CHECK(refused(index, sample_options()).find("now there are 12; " + index.images.back().id + " is new; use") !=
        std::string::npos);

  TrackInfo track = sample_tracks(plan)[1];
  create_track(directory.path(), track);
  create_track(directory.path(), track);
  track.codec.encoding = Encoding::kFp16;
  CHECK(has(message_of([&] { create_track(directory.path(), track); }),
            "encoding is \"int8\", but \"fp16\" in this run"));
  track.teacher.name = "../up";
  CHECK(has(message_of([&] { create_track(directory.path(), track); }), "cannot name a teacher"));
}

TEST_CASE("of many concurrent creations with different settings one succeeds, and the others get the difference") {
  const Plan plan(sample_index(11), sample_options());
  constexpr int kWriters = 6;
  const auto race = [](const std::function<void(int)>& begin) {
    std::atomic<int> begun = 0, winner = -1;
    std::vector<std::string> errors(kWriters);
    std::vector<std::thread> writers;
    for (int w = 0; w < kWriters; ++w)
      writers.emplace_back([&, w] {
        errors[static_cast<std::size_t>(w)] = message_of([&] { begin(w); });
        if (errors[static_cast<std::size_t>(w)].empty()) ++begun, winner = w;
      });
    for (std::thread& writer : writers) writer.join();
    CHECK(begun == 1);
    for (const std::string& error : errors) {
      INFO(error);
      CHECK((error.empty() || error.find(" in this run") != std::string::npos));
    }
    return winner.load();
  };
  for (int round = 0; round < 10; ++round) {
    const TemporaryDirectory directory;
    std::vector<Plan> plans;
    for (int w = 0; w < kWriters; ++w) {
      PlanOptions options = sample_options();
      options.seed = static_cast<std::uint64_t>(w);
      plans.emplace_back(sample_index(11), options);
    }
    const int first = race([&](int w) {
      const Plan& own = plans[static_cast<std::size_t>(w)];
      create_cache(directory.path(), own.index(), own);
    });
    CHECK(read_whole(directory / "plan.json") == plans.at(static_cast<std::size_t>(first)).json());
    const auto track_of = [&](int w) {
      TrackInfo track = sample_tracks(plan).front();
      track.compression = w + 1;
      return track;
    };
    const int second = race([&](int w) { create_track(directory.path(), track_of(w)); });
    CHECK(read_whole(directory / track_of(0).directory() / "track.json") == track_of(second).file_text());
  }
}

TEST_CASE("a group in a plain encoding is compressed when it is added, not at the shard's end") {
  const TemporaryDirectory directory;
  PlanOptions options = sample_options();
  options.group = 64, options.shard_groups = 8;
  const Plan plan(sample_index(512), options);
  for (const Encoding encoding : {Encoding::kFp32, Encoding::kFp16, Encoding::kUniform}) {
    CAPTURE(encoding_name(encoding));
    TrackInfo track = sample_tracks(plan)[0];
    track.shape = {1000};
    track.codec = {.encoding = encoding, .max_error = encoding == Encoding::kUniform ? 0.01 : 0};
    create_track(directory / encoding_name(encoding), track);
    const auto codec = make_codec(track.codec, track.shape);
    ShardDraft draft(track, plan, 0, 0, codec->layout());
    REQUIRE(draft.groups() == 8);
    const std::vector<float> values(std::size_t{64} * 1000, 0.5f);  // that zstd makes small
    for (std::uint32_t g = 0; g < draft.groups(); ++g) draft.set(g, codec->encode(values, 64));
    const std::uint64_t raw = std::uint64_t{8} * 64 * 1000 *
                              (encoding == Encoding::kFp32   ? 4
                               : encoding == Encoding::kFp16 ? 2
                                                             : 1);
    if (encoding == Encoding::kUniform)
      CHECK(draft.held_bytes() >= raw);  // the longest group determines the padding
    else
      CHECK(draft.held_bytes() < raw / 20);
    for (std::uint32_t g = 0; g < draft.groups(); ++g) draft.compress(g);
    CHECK(draft.held_bytes() < raw / 20);
    draft.publish(directory / encoding_name(encoding), {});
  }
}

TEST_CASE("the largest group of each encoding is known in advance") {
  const Plan plan(sample_index(7), sample_options());
  TrackInfo track = sample_tracks(plan)[1];  // features
  track.shape = {768, 14, 14};
  const auto largest = [&](Encoding encoding, std::uint32_t step) {
    track.codec = {.encoding = encoding, .max_error = encoding == Encoding::kTransform ? 0.01 : 0};
    return largest_group(track, step);
  };
  constexpr std::uint64_t kValues = 768 * 14 * 14;
  CHECK(largest(Encoding::kFp32, 2) == (1ull << 32) / (4 * kValues) / 2 * 2);
  CHECK(largest(Encoding::kFp16, 1) == ((1ull << 32) - 1) / (2 * kValues));
  CHECK(largest(Encoding::kInt8, 16) == ((1ull << 32) - 1) / kValues / 16 * 16);
  CHECK(largest(Encoding::kTransform, 2) == (1ull << 29) / kValues / 2 * 2);
  track.kind = "logits", track.block = -1, track.shape = {21843};
  CHECK(largest(Encoding::kFp32, 2) == (1ull << 32) / (4ull * 21843) / 2 * 2);
  track.codec = {.encoding = Encoding::kUniform, .max_error = 0.01};
  CHECK(largest_group(track, 2) == ((1ull << 30) / 21843 - 1) / 2 * 2);

  track.codec = {.encoding = Encoding::kFp32};
  check_group(track, 49156, 2);
  CHECK_THROWS_WITH_AS(check_group(track, 49158, 2),
                       "plan.group = 49158 is too large for logits as fp32, 21843 values per view: at most 49156 works",
                       Error);
  track.shape = {1u << 30};
  CHECK_THROWS_WITH_AS(check_group(track, 2, 2), doctest::Contains("not even 2 works; choose another encoding"), Error);
}

TEST_CASE("a file records what it was written by") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 1);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path())) {
    if (entry.path().extension() != ".h5") continue;
    ++files;
    INFO(entry.path().string());
    const auto written = nlohmann::json::parse(Container(entry.path()).json()).at("written_by");
    for (const char* library : {"vitrine", "hdf5", "zstd"}) CHECK(has(written.at(library).get<std::string>(), "."));
  }
  CHECK(files > 5);
}

TEST_CASE("picture hashes round-trip, and those of another place are refused") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 2);
  std::vector<std::uint64_t> wanted;
  for (std::uint32_t g = 0; g < plan.layout().span_of(ShardKey{0, 0}).groups; ++g)
    wanted.push_back(sample_picture_hash({1, g}));
  CHECK(recorded_views(directory.path(), plan, 1, 0).picture_hashes == wanted);
  CHECK(has(message_of([&] { recorded_views(directory.path(), plan, 7, 0); }), "recipes"));
  const std::filesystem::path recipes = directory / "recipes";
  std::filesystem::copy_file(recipes / "00000.h5", recipes / "00002.h5",
                             std::filesystem::copy_options::overwrite_existing);
  CHECK(message_of([&] { recorded_views(directory.path(), plan, 1, 0); }).find("pass 0, expected 1") !=
        std::string::npos);
}

TEST_CASE("an index with a name that is not UTF-8 is refused before it is written") {
  const TemporaryDirectory directory;
  ImageIndex index = *sample_index(3);
  index.images[1].id = "apple/caf\xE9.jpg";
  const Plan plan(std::make_shared<const ImageIndex>(index), sample_options());
  CHECK(has(message_of([&] { create_cache(directory.path(), index, plan); }),
            "index.h5: the name of image 1 is not UTF-8"));
  CHECK_FALSE(std::filesystem::exists(directory / "index.h5"));
}
