// write_cache DIR: a sample cache in DIR/cache, and what our reader makes of each track in DIR/TRACK.f32, as raw floats
// of [passes, groups, group, shape...], with the plain recipes in DIR/recipes.bin.
#include <cstdio>
#include <fstream>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "tests/cache/sample.h"

int main(int argc, char** argv) {
  using namespace vitrine;
  if (argc != 2) return 2;
  return guarded_main("write_cache", [&] {
    const std::filesystem::path directory = argv[1];
    const Plan plan(testing::sample_index(11), testing::sample_options());
    testing::write_sample(directory / "cache", plan, 2);
    const Cache cache(directory / "cache");
    std::ofstream recipes(directory / "recipes.bin", std::ios::binary);
    for (std::uint32_t pass = 0; pass < 2; ++pass)
      for (std::uint32_t group = 0; group < plan.groups_per_pass(); ++group)
        for (const Recipe& r : plan.group(pass, group)) recipes.write(reinterpret_cast<const char*>(&r), sizeof r);
    for (const TrackInfo& track : cache.tracks()) {
      const TrackReader reader(cache, track);
      TrackReader::Scratch scratch;
      std::ofstream out(directory / (track.teacher + "." + track.name() + ".f32"), std::ios::binary);
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
