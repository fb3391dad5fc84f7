#include <cmath>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/cache/track.h"
#include "common/cache/writer.h"
#include "common/cache/container.h"
#include "common/codec/make_codec.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "tests/cache/sample.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

constexpr std::uint32_t kChannels = 6, kHeight = 2, kWidth = 3, kValues = 36;

// Channels of decreasing deviation, correlated at each position.
std::vector<float> features(std::uint32_t views, std::uint64_t seed) {
  std::vector<float> out;
  RandomStream draws(seed, Purpose::kSample);
  for (std::uint32_t view = 0; view < views; ++view) {
    std::vector<double> common(kHeight * kWidth);
    for (double& x : common) x = draws.normal();
    for (std::uint32_t i = 0; i < kValues; ++i)
      out.push_back(static_cast<float>(3 + common[i % 6] + draws.normal() / (1 + i / 6)));
  }
  return out;
}

struct TransformSample {
  TemporaryDirectory directory;
  Plan plan{sample_index(11), sample_options()};
  std::shared_ptr<const FeatureBasis> basis;
  TrackInfo track;

  TransformSample() {
    Calibrator calibrator(kChannels, kHeight, kWidth);
    for (std::uint64_t seed = 100; seed < 120; ++seed) calibrator.add(features(4, seed), 4);
    basis = std::make_shared<const FeatureBasis>(calibrator.finish(0.01, 4));
    track = sample_tracks(plan)[1];
    track.codec = {.encoding = Encoding::kTransform, .max_error = 0.01, .basis = basis->hash()};
    create_cache(directory.path(), plan.index(), plan);
    create_track(directory.path(), track, basis.get());
    const auto codec = make_codec(track.codec, track.shape, basis);
    for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard) {
      std::vector<std::vector<Array>> groups;
      for (std::uint32_t g = 0; g < plan.layout().span_of(ShardKey{0, shard}).groups; ++g)
        groups.push_back(codec->encode(features(4, shard * 2 + g), 4));
      write_shard(directory.path(), track, plan, 0, shard, groups);
    }
  }
  std::filesystem::path basis_file() const { return directory / basis_path(track).string(); }
};

template <class Call>
std::string message(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a transform track keeps its bound in every group, and its coefficients decode to the features") {
  const TransformSample sample;
  const Cache cache(sample.directory.path());
  CHECK(cache.track("features.3") == sample.track);
  const TrackReader reader(cache, cache.track("features.3"));
  REQUIRE(reader.basis());
  CHECK(*reader.basis() == *sample.basis);
  TrackReader::Scratch scratch;
  std::vector<float> out(4 * kValues), coefficients(4 * kValues);
  for (std::uint32_t group = 0; group < 3; ++group) {
    reader.read({0, group}, scratch, out);
    reader.read_coefficients({0, group}, scratch, coefficients);
    const std::vector<float> raw = features(4, group);
    double error = 0, energy = 0, apart = 0;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const std::size_t view = i / kValues, c = i % kValues / 6, p = i % 6;
      error += std::pow(static_cast<double>(out[i]) - raw[i], 2);
      energy += std::pow(static_cast<double>(raw[i]) - sample.basis->mean[i % kValues], 2);
      double x = sample.basis->mean[i % kValues];
      for (std::size_t k = 0; k < kChannels; ++k)
        x += sample.basis->vectors[k * kChannels + c] * coefficients[view * kValues + k * 6 + p];
      apart = std::max(apart, std::fabs(x - out[i]));
    }
    CHECK(error > 0);
    CHECK(error <= 0.01 * energy * (1 + 1e-4));
    CHECK(apart < 1e-4);
  }
}

TEST_CASE("a shard whose rows are longer than a group's maximum is refused before memory is allocated") {
  const TransformSample sample;
  const auto codec = make_codec(sample.track.codec, sample.track.shape, sample.basis);
  const std::uint64_t most = codec->max_bytes(0, 4);
  for (const std::uint64_t bytes : {most, most + 1}) {
    TrackInfo track = sample.track;
    track.teacher.name = "longer" + std::to_string(bytes);
    create_track(sample.directory.path(), track, sample.basis.get());
    for (std::uint32_t shard = 0; shard < sample.plan.shards_per_pass(); ++shard) {
      std::vector<std::vector<Array>> groups;
      for (std::uint32_t g = 0; g < sample.plan.layout().span_of(ShardKey{0, shard}).groups; ++g) {
        groups.push_back(codec->encode(features(4, shard * 2 + g), 4));
        groups.back()[0].bytes.resize(bytes);
        groups.back()[0].shape = {1, static_cast<std::uint32_t>(bytes)};
      }
      write_shard(sample.directory.path(), track, sample.plan, 0, shard, groups);
    }
    const Cache cache(sample.directory.path());
    TrackReader::Scratch scratch;
    std::vector<float> out(4 * kValues);
    const auto read = [&] { TrackReader(cache, track).read({0, 0}, scratch, out); };
    if (bytes == most) {
      read();
      continue;
    }
    try {
      read();
      CHECK(false);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kCorrupt);
      CHECK(error.problem().dataset == "payload");
      CHECK(error.problem().what == text("has ", most + 1, " bytes per group; a group takes at most ", most));
    }
  }
}

TEST_CASE("a basis round-trips through its file; a missing, foreign or damaged one is refused") {
  const TransformSample sample;
  CHECK(read_basis(sample.basis_file()) == *sample.basis);
  const std::string bytes = read_whole(sample.basis_file());
  const auto refusal = [&] {
    return message([&] {
      const Cache cache(sample.directory.path());
      TrackReader reader(cache, cache.track("features.3"));
    });
  };
  FeatureBasis other = *sample.basis;
  other.mean[0] += 1;
  std::filesystem::remove(sample.basis_file());
  CHECK(has(refusal(), "basis.h5"));
  write_basis(sample.basis_file(), other);
  CHECK(has(refusal(), "but track.json names " + sample.track.codec.basis.substr(0, 8)));
  std::filesystem::remove(sample.basis_file());
  create_track(sample.directory.path(), sample.track, sample.basis.get());  // recreates what was lost
  CHECK(read_whole(sample.basis_file()) == bytes);
  CHECK(refusal().empty());
  for (std::size_t i = 0; i < bytes.size(); i += 97) {
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 0x20);
    write_whole(sample.basis_file(), bad);
    bool same = false;
    const std::string found = message([&] { same = read_basis(sample.basis_file()) == *sample.basis; });
    CHECK((same || found.find("basis.h5") != std::string::npos));
  }
}

TEST_CASE("a track of another encoding has neither coefficients nor a basis") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 1);
  const Cache cache(directory.path());
  const TrackReader reader(cache, cache.track("features.3"));
  CHECK(reader.basis() == nullptr);
  TrackReader::Scratch scratch;
  std::vector<float> out(4 * 36);
  CHECK(message([&] {
          reader.read_coefficients({0, 0}, scratch, out);
        }).find("is stored as int8") != std::string::npos);
}
