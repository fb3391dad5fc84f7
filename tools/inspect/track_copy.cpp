#include "tools/inspect/track_copy.h"

#include "common/base/error.h"
#include "common/cache/container.h"
#include "common/cache/shard_directory.h"

namespace vitrine {

std::optional<TrackCopy> track_copy(const Plan& plan, const std::filesystem::path& directory) {
  nlohmann::ordered_json said;
  std::uint64_t shards = 0, newer = 0;
  const ShardDirectory shard_directory(directory, nullptr);
  for (const std::uint64_t number : shard_directory.numbers()) try {
      const nlohmann::ordered_json json = attributes(Container(directory / shard_file_name(number)), kShardFormat);
      const auto copy = json.value("track", nlohmann::ordered_json());
      if (shards++ == 0) said = copy;
      if (copy != said) return std::nullopt;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kMemory) throw;  // not the shard's fault
      newer += error.kind() == ErrorKind::kNewer ? 1 : 0;
    }
  if (shards == 0) return std::nullopt;
  try {
    const std::string text = with_check(said.dump(2) + "\n");
    TrackInfo track = TrackInfo::from_json(said, directory.string());
    const std::filesystem::path place = directory.parent_path().filename() / directory.filename();
    if (track.plan_hash != plan.hash() || track.directory() != place.generic_string()) return std::nullopt;
    return TrackCopy{std::move(track), text, shards, newer};
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string difference_words(const TrackInfo& track, const TrackCopy& copy) {
  return describe_differences(differences(track, copy.track), "the shards");
}

}  // namespace vitrine
