#include "tools/inspect/track_state.h"

#include "common/base/error.h"
#include "tools/inspect/loss_summary.h"

namespace vitrine {

TrackState examine_track(const Cache& cache, const TrackInfo& info) {
  const TrackReader reader(cache, info);
  TrackState state{&info, reader.passes(), reader.shards(), reader.stored_bytes(), reader.stored_views(), {}, {}, {}};
  std::vector<ShardNotes> notes;
  LossSummary summary;
  for (const std::uint64_t number : reader.shard_directory().numbers()) {
    const std::string name = shard_file_name(number);
    try {
      notes.push_back(read_notes(Container(reader.shard_directory().directory() / name)));
      if (!notes.back().loss.empty())
        summary.add(nlohmann::ordered_json::parse(notes.back().loss), cache.plan().layout().span_of(number).groups);
    } catch (const Error& error) {
      state.unreadable.push_back({name, error.what()});
    }
  }
  state.kinds = arithmetic_kinds(notes);
  state.loss = summary.json();
  return state;
}

std::string teacher_directory(const TrackInfo& track) {
  const std::string directory = track.directory();
  return directory.substr(0, directory.find('/'));
}

}  // namespace vitrine
