// write_cache DIR: writes a sample cache to DIR/cache, and each track as read by our reader to DIR/TRACK.f32, as raw
// floats of [passes, groups, group, shape...], with the plain recipes in DIR/recipes.bin. Two tracks have the encoding
// transform: teacher "smooth" (a transform over positions pays) and "fine" (every branch of the payload: large classes,
// escapes, halves of several trellis steps).
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/codec/make_codec.h"
#include "common/codec/transform/basis.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "tests/cache/sample.h"

namespace vitrine {
namespace {

/// Waves over the map, different in each view and weaker in each channel, plus noise and outliers.
std::vector<float> maps(const TrackInfo& track, std::uint64_t seed, std::uint32_t views, double noise, double outlier) {
  const std::uint32_t width = track.shape[2], positions = track.shape[1] * width;
  std::vector<float> values;
  RandomStream stream(seed, Purpose::kSample);
  for (std::uint32_t i = 0; i < views * track.shape[0]; ++i) {
    const double size = 8 * stream.normal() / (1 + i % track.shape[0]);
    for (std::uint32_t p = 0; p < positions; ++p) {
      const double wave = std::cos(0.3 * (p / width) + 0.2 * (p % width) + i % 5);
      const double spike = stream.uniform() < 0.01 ? outlier * stream.normal() : 0;
      values.push_back(static_cast<float>(1 + size * wave + noise * stream.normal() + spike));
    }
  }
  return values;
}

void write_transform(const std::filesystem::path& directory, const Plan& plan, const std::string& teacher,
                     std::vector<std::uint32_t> shape, double max_error, double noise, double outlier) {
  const std::uint32_t group = plan.options().group;
  TrackInfo track = testing::sample_tracks(plan)[1];
  track.teacher.name = teacher, track.block = 5, track.shape = std::move(shape);
  Calibrator calibrator(track.shape[0], track.shape[1], track.shape[2]);
  calibrator.add(maps(track, 0, 16 * group, noise, 0), 16 * group);
  const auto basis = std::make_shared<const FeatureBasis>(calibrator.finish(max_error, group));
  track.codec.encoding = Encoding::kTransform, track.codec.max_error = max_error, track.codec.basis = basis->hash();
  create_track(directory, track, basis.get());
  const auto codec = make_codec(track.codec, track.shape, basis);
  for (std::uint32_t pass = 0; pass < 2; ++pass)
    for (std::uint32_t shard = 0, number = 1; shard < plan.shards_per_pass(); ++shard) {
      std::vector<std::vector<Array>> groups;
      for (std::uint32_t g = 0; g < plan.layout().span_of(ShardKey{0, shard}).groups; ++g, ++number)
        groups.push_back(codec->encode(maps(track, 10 * pass + number, group, noise, outlier), group));
      write_shard(directory, track, plan, pass, shard, groups);
    }
}

}  // namespace
}  // namespace vitrine

int main(int argc, char** argv) {
  using namespace vitrine;
  if (argc != 2) return 2;
  return guarded_main("write_cache", [&] {
    const std::filesystem::path directory = argv[1];
    const Plan plan(testing::sample_index(11), testing::sample_options());
    testing::write_sample(directory / "cache", plan, 2);
    for (const TrackInfo& track : testing::wide_tracks(plan)) {
      create_track(directory / "cache", track);
      for (std::uint32_t pass = 0; pass < 2; ++pass)
        for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard)
          testing::write_sample_shard(directory / "cache", plan, track, pass, shard);
    }
    write_transform(directory / "cache", plan, "smooth", {12, 5, 6}, 0.01, 0.3, 0);
    write_transform(directory / "cache", plan, "fine", {7, 7, 10}, 1e-7, 1, 300);
    const Cache cache(directory / "cache");
    std::ofstream recipes(directory / "recipes.bin", std::ios::binary);
    for (std::uint32_t pass = 0; pass < 2; ++pass)
      for (std::uint32_t group = 0; group < plan.groups_per_pass(); ++group)
        for (const Recipe& r : plan.group(pass, group)) recipes.write(reinterpret_cast<const char*>(&r), sizeof r);
    for (const TrackInfo& track : cache.tracks()) {
      const TrackReader reader(cache, track);
      TrackReader::Scratch scratch;
      std::ofstream out(directory / (track.teacher.name + "." + track.name() + ".f32"), std::ios::binary);
      std::vector<float> values(track.view_values() * plan.options().group);
      for (const std::uint32_t pass : reader.passes())
        for (std::uint32_t group = 0; group < plan.groups_per_pass(); ++group) {
          reader.read({pass, group}, scratch, values);
          out.write(reinterpret_cast<const char*>(values.data()),
                    static_cast<std::streamsize>(values.size() * sizeof(float)));
        }
    }
    return 0;
  });
}
