#include "tools/pack/contents.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/progress.h"
#include "common/base/shell.h"
#include "common/cache/preparation.h"
#include "common/cache/shard_directory.h"
#include "common/cache/teacher_classes.h"
#include "common/cache/teacher_score.h"
#include "common/image/index_record.h"
#include "common/image/left_out.h"
#include "tools/inspect/gap.h"
#include "tools/inspect/track_state.h"
#include "tools/pack/card.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecipes = "recipes";

bool is_named(const std::string& directory, const std::string& word) {
  return directory == word || directory.substr(directory.find('/') + 1) == word;
}

// What a pack has of one directory of shards.
struct ShardFiles {
  std::string directory;  // "recipes", "vit.0123abcd/logits"
  std::vector<std::uint64_t> numbers;
  std::map<std::uint64_t, FileRecord> records;  // name: the path in the pack
};

// All recipes, or those of the chosen tracks' views.
std::vector<std::uint64_t> recipe_numbers(const Cache& cache, const TrackNames& names,
                                          const std::vector<TrackInfo>& tracks) {
  if (names.empty()) return cache.recipe_directory().numbers();
  std::set<std::uint64_t> numbers;
  for (const TrackInfo& track : tracks)
    for (const std::uint64_t number : list_shard_numbers(cache.directory() / track.directory())) numbers.insert(number);
  std::erase_if(numbers, [&](std::uint64_t number) { return !cache.recipe_directory().holds(number); });
  return {numbers.begin(), numbers.end()};
}

// What a directory lacks of the passes that it has begun or is to have; nothing in `shards` if it is complete.
Gap gap_of(const Cache& cache, const std::string& directory, const std::vector<PassRange>& prepared) {
  const ShardLayout layout = cache.plan().layout();
  const std::vector<std::uint64_t> there = list_shard_numbers(cache.directory() / directory);
  std::set<std::uint64_t> passes;
  for (const std::uint64_t number : there)
    if (layout.has_pass_of(number)) passes.insert(layout.pass_of(number));
  for (const PassRange& range : prepared)
    for (std::uint64_t pass = range.first; pass < range.past(); ++pass) passes.insert(pass);
  Gap gap{directory, {}, {}};
  for (const std::uint64_t pass : passes) {
    const std::uint64_t first = pass * layout.shards_per_pass(), known = gap.shards.size();
    for (std::uint64_t number = first; number < first + layout.shards_per_pass(); ++number)
      if (!std::ranges::binary_search(there, number)) gap.shards.push_back(number);
    if (gap.shards.size() > known) gap.passes.push_back(static_cast<std::uint32_t>(pass));
  }
  return gap;
}

// The gaps of the chosen tracks and of their recipes.
std::vector<Gap> gaps_of(const Cache& cache, const TrackNames& names, const std::vector<TrackInfo>& tracks) {
  const auto preparation = read_preparation(cache.directory(), cache.plan().hash());
  std::map<std::string, std::vector<PassRange>> wanted;
  for (const TrackInfo& track : tracks) wanted[track.directory()];
  if (preparation)
    for (const PreparedTrack& track : preparation->tracks)
      if (names.empty() || wanted.contains(track.directory)) wanted[track.directory] = track.passes;
  std::vector<Gap> gaps;
  std::set<std::uint64_t> views;  // shards of which there are targets
  for (const auto& [directory, passes] : wanted) {
    if (Gap gap = gap_of(cache, directory, passes); !gap.shards.empty()) gaps.push_back(std::move(gap));
    for (const std::uint64_t number : list_shard_numbers(cache.directory() / directory)) views.insert(number);
  }
  Gap recipes{kRecipes, {}, {}};
  for (const std::uint64_t number : views) {
    if (cache.recipe_directory().holds(number) || !cache.plan().layout().has_pass_of(number)) continue;
    recipes.shards.push_back(number);
    const auto pass = static_cast<std::uint32_t>(cache.plan().layout().pass_of(number));
    if (recipes.passes.empty() || recipes.passes.back() != pass) recipes.passes.push_back(pass);
  }
  if (!recipes.shards.empty()) gaps.push_back(std::move(recipes));
  return gaps;
}

void expect_finished(const Cache& cache, const TrackNames& names, const std::vector<TrackInfo>& tracks) {
  const std::vector<Gap> gaps = gaps_of(cache, names, tracks);
  if (gaps.empty()) return;
  std::uint64_t missing = 0;
  for (const Gap& gap : gaps) missing += gap.shards.size();
  const auto [commands, rewritten] = fill_gaps(cache.directory(), cache.plan(), cache.tracks(), gaps);
  std::string remedy = "finish it";
  if (!commands.empty()) remedy += " with " + commands.front();
  if (commands.size() > 1)
    remedy += text(" and ", counted(commands.size() - 1, "more command"), ", which vitrine-cache repair lists");
  if (!rewritten.empty()) remedy += (commands.empty() ? ": " : ", ") + write_again(rewritten.front());
  throw Error(ErrorKind::kInput,
              {.path = cache.directory().string(),
               .what = text("is not finished: ", counted(missing, "shard"), " of ", gaps.front().directory,
                            gaps.size() > 1 ? " and others are"
                            : missing == 1  ? " is"
                                            : " are",
                            " missing"),
               .remedy = remedy + ", or pack the finished shards with --unfinished"});
}

// The records of shards: their writers' where there are such.
void fill_in_records(const Cache& cache, ShardFiles& shards) {
  const fs::path directory = cache.directory() / shards.directory;
  const Manifest listed = Manifest::read_all(directory).value_or(Manifest());
  std::uint64_t unlisted = 0;
  for (const std::uint64_t number : shards.numbers) unlisted += listed.find(shard_file_name(number)) == nullptr;
  if (unlisted > 0)
    note(text(directory.string(), ": ", human_count(unlisted), " files are in no list; reading them for their hashes"));
  for (const std::uint64_t number : shards.numbers) {
    const std::string name = shard_file_name(number);
    const FileRecord* known = listed.find(name);
    const std::uint64_t bytes = file_bytes(directory / name);
    if (known != nullptr && known->bytes != bytes)
      throw Error(ErrorKind::kCorrupt,
                  {.path = (directory / name).string(),
                   .what = text("has ", bytes, " bytes, but ", kManifestName, " lists ", known->bytes),
                   .remedy = "run vitrine-cache repair " + shell_word(cache.directory().string())});
    FileRecord record = known != nullptr ? *known : describe_file(directory / name);
    record.name = shards.directory + "/" + name;
    shards.records[number] = std::move(record);
  }
}

// The text of shards.json: of a finished directory the same as in the cache.
std::string list_of(const ShardFiles& shards) {
  std::vector<FileRecord> files;
  for (const auto& [number, record] : shards.records)
    files.push_back({shard_file_name(number), record.bytes, record.hash});
  return Manifest(std::move(files)).json();
}

PackedFile from_text(const std::string& path, std::string text_of) {
  const FileRecord record{path, text_of.size(), xxh3(text_of)};
  return {record, {}, std::move(text_of)};
}

PackedFile from_file(const fs::path& cache, const std::string& path) {
  FileRecord record = describe_file(cache / path);
  record.name = path;
  return {std::move(record), cache / path, {}};
}

std::vector<TrackState> states_of(const Cache& cache, const std::vector<TrackInfo>& tracks) {
  std::vector<TrackState> states;
  for (const TrackInfo& track : tracks) {
    const TrackReader reader(cache, track);
    for (const std::uint64_t number : reader.shard_directory().numbers()) reader.shard_directory().open(number);
    states.push_back(examine_track(cache, track));
  }
  return states;
}

}  // namespace

std::vector<TrackInfo> chosen_tracks(const Cache& cache, const TrackNames& names) {
  std::set<std::string> wanted;
  for (const std::string& word : names) {
    const auto add = [&](const std::string& directory) {
      if (is_named(directory, word)) wanted.insert(directory);
      return is_named(directory, word);
    };
    bool found = false;
    for (const TrackInfo& track : cache.tracks()) found = add(track.directory()) || found;
    for (const Cache::BadTrack& track : cache.bad_tracks()) found = add(track.directory) || found;
    const std::size_t slash = word.find('/');
    if (!found)  // a teacher's name without its hash, or an error that lists the tracks
      wanted.insert(
          cache.track(word.substr(slash + 1), slash == std::string::npos ? "" : word.substr(0, slash)).directory());
  }
  for (const Cache::BadTrack& track : cache.bad_tracks())
    if (names.empty() || wanted.contains(track.directory)) throw track.error;
  std::vector<TrackInfo> tracks = cache.tracks();
  if (!names.empty())
    std::erase_if(tracks, [&](const TrackInfo& track) { return !wanted.contains(track.directory()); });
  return tracks;
}

std::vector<PackedFile> pack_contents(const Cache& cache, const TrackNames& names, bool unfinished) {
  const std::vector<TrackInfo> tracks = chosen_tracks(cache, names);
  if (!unfinished) expect_finished(cache, names, tracks);
  std::vector<ShardFiles> directories{{kRecipes, recipe_numbers(cache, names, tracks), {}}};
  for (const TrackInfo& track : tracks)
    directories.push_back({track.directory(), list_shard_numbers(cache.directory() / track.directory()), {}});
  for (const std::uint64_t number : directories.front().numbers) cache.recipe_directory().open(number);
  const std::vector<TrackState> states = states_of(cache, tracks);
  for (ShardFiles& shards : directories) fill_in_records(cache, shards);

  std::vector<PackedFile> files{from_text(kCardFile, cache_card(cache, states))};
  const auto add_file = [&](const std::string& path) { files.push_back(from_file(cache.directory(), path)); };
  const auto add_if_there = [&](const std::string& path) {
    if (path_exists(cache.directory() / path)) add_file(path);
  };
  add_file("index.h5");
  add_file("plan.json");
  if (const auto record = copied_index_record(cache.directory(), cache.index().hash()))
    files.push_back(from_text(kIndexRecordFile, *record));
  add_if_there(kLeftOutFile);
  std::set<std::string> teachers;
  for (const ShardFiles& shards : directories) {
    if (shards.directory != kRecipes) {
      const std::string teacher = shards.directory.substr(0, shards.directory.find('/'));
      if (teachers.insert(teacher).second)
        for (const char* name : {kTeacherScoreFile, kTeacherClassesFile}) add_if_there(teacher + "/" + name);
      add_file(shards.directory + "/track.json");
      add_if_there(shards.directory + "/basis.h5");
    }
    files.push_back(from_text(shards.directory + "/" + kManifestName, list_of(shards)));
  }
  std::set<std::uint64_t> numbers;
  for (const ShardFiles& shards : directories) numbers.insert(shards.numbers.begin(), shards.numbers.end());
  for (const std::uint64_t number : numbers)
    for (const ShardFiles& shards : directories)
      if (const auto record = shards.records.find(number); record != shards.records.end())
        files.push_back({record->second, cache.directory() / record->second.name, {}});
  return files;
}

}  // namespace vitrine
