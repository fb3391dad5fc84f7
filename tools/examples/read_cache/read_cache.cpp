// read_cache CACHE TRACK: the first group of a track, a line per view with its image, label and largest target.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "common/base/error.h"
#include "common/cache/cache.h"

int main(int argc, char** argv) {
  return vitrine::guarded_main("read_cache", [&] {
    if (argc != 3) vitrine::fail("expected a cache and a track: read_cache CACHE logits");
    const vitrine::Cache cache(argv[1]);
    const vitrine::TrackReader reader(cache, cache.track(argv[2]));
    const std::size_t values = reader.track().view_values();
    std::vector<float> batch(cache.plan().options().group * values);
    vitrine::TrackReader::Scratch scratch;
    const vitrine::GroupKey key{.pass = reader.passes().at(0), .group = 0};
    reader.read(key, scratch, batch);
    const std::vector<vitrine::Recipe> views = cache.recipes(key);
    for (std::size_t v = 0; v < views.size(); ++v) {
      const auto first = batch.begin() + static_cast<std::ptrdiff_t>(v * values),
                 past = first + static_cast<std::ptrdiff_t>(values);
      const auto largest = std::max_element(first, past);
      std::printf("%s label %d largest %d %.6g\n", cache.index().images[views[v].image].id.c_str(),
                  static_cast<int>(views[v].label), static_cast<int>(largest - first), static_cast<double>(*largest));
    }
    return 0;
  });
}
