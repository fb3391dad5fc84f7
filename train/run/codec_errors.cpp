#include "train/run/codec_errors.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/cache/container.h"
#include "common/cache/shard_directory.h"

namespace vitrine {
namespace {

std::vector<std::filesystem::path> shards_of(const std::filesystem::path& directory, const Plan& plan,
                                             std::span<const std::uint32_t> passes) {
  std::vector<std::filesystem::path> all;
  for (const std::uint32_t pass : passes)
    for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard) {
      const std::filesystem::path path = directory / shard_file_name(plan.layout().number_of(ShardKey{pass, shard}));
      if (file_exists(path)) all.push_back(path);
    }
  if (all.size() <= kCodecErrorShards) return all;
  std::vector<std::filesystem::path> spread;
  for (std::size_t i = 0; i < kCodecErrorShards; ++i) spread.push_back(all[i * all.size() / kCodecErrorShards]);
  return spread;
}

// Empty for a damaged shard too: it stops the run when its targets are read, and not before.
std::string recorded_loss(const std::filesystem::path& shard) {
  try {
    return read_notes(Container(shard)).loss;
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

void add_codec_errors(EventFile& events, const std::filesystem::path& cache, std::span<const TrackInfo> tracks,
                      const Plan& plan, std::span<const std::uint32_t> passes) {
  for (const TrackInfo& track : tracks) {
    std::map<std::string, std::vector<double>> by_key;
    for (const std::filesystem::path& path : shards_of(cache / track.directory(), plan, passes)) {
      const nlohmann::json loss = parse_json(recorded_loss(path));
      if (!loss.is_object()) continue;
      for (const auto& [key, value] : loss.items())
        if (value.is_number()) by_key[key].push_back(value.get<double>());
    }
    for (const auto& [key, values] : by_key)
      events.add_histogram(0, text("codec/", track.directory(), "/", key), values);
  }
}

}  // namespace vitrine
