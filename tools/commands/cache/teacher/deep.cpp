#include "tools/commands/cache/teacher/deep.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/cache/track.h"
#include "common/cache/writer.h"
#include "common/image/left_out.h"
#include "common/image/lost_pictures.h"
#include "common/image/views.h"
#include "common/plan/recipe.h"
#include "common/teacher/one_thread_each.h"
#include "common/teacher/reopen.h"
#include "common/teacher/teacher.h"
#include "tools/commands/cache/teacher/deep_values.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

bool wanted(const std::string& directory, const std::vector<std::string>& words) {
  return words.empty() || std::ranges::any_of(words, [&](const std::string& word) {
           return word == directory || word == fs::path(directory).filename();
         });
}

DeepResult not_run(const std::string& track, const std::string& why) {
  DeepResult result;
  result.track = track, result.why = why;
  return result;
}

// The findings of verification that matter here.
class Damage {
 public:
  explicit Damage(const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) {
      const fs::path file = finding.file;
      files_.insert(finding.file);
      if (file.filename() == "track.json" || file.filename() == "basis.h5")
        tracks_.emplace(file.parent_path().generic_string(), text(file.filename().string(), " ", finding.what));
    }
  }

  /// Tracks that cannot be read at all, and why.
  const std::map<std::string, std::string>& tracks() const { return tracks_; }
  bool at(const std::string& directory, std::uint64_t number) const {
    return files_.contains(directory + "/" + shard_file_name(number)) ||
           files_.contains("recipes/" + shard_file_name(number));
  }

 private:
  std::set<std::string> files_;
  std::map<std::string, std::string> tracks_;
};

std::uint64_t shard_of(const Plan& plan, GroupKey key) {
  return plan.layout().number_of(key);
}

// Whether a shard's recorded made_with equals the current one.
bool same_arithmetic(const TrackReader& reader, std::uint64_t number, const ComputeRecord& now) {
  return read_notes(Container(reader.shard_directory().directory() / shard_file_name(number))).made_with == now;
}

// The comparison of one of a teacher's tracks.
class Asked {
 public:
  Asked(const Cache& cache, const TrackInfo& track, const Damage& damage)
      : plan_(cache.plan()), reader_(cache, track), check_(reader_.track(), reader_.codec(), reader_.basis().get()) {
    for (const std::uint64_t number : reader_.shard_directory().numbers())
      if (!damage.at(track.directory(), number) && cache.recipe_directory().holds(number)) shards_.push_back(number);
  }

  // At most `count` groups of its undamaged shards, evenly spaced.
  std::vector<GroupKey> sample(std::uint64_t count) const {
    std::vector<GroupKey> all, chosen;
    for (const std::uint64_t number : shards_) {
      const ShardSpan span = plan_.layout().span_of(number);
      for (std::uint32_t g = 0; g < span.groups; ++g) all.push_back(span.group(g));
    }
    count = std::min<std::uint64_t>(count, all.size());
    for (std::uint64_t i = 0; i < count; ++i) chosen.push_back(all[(2 * i + 1) * all.size() / (2 * count)]);
    return chosen;
  }

  // Call before compare(). `keys`: the groups sampled for all of the teacher's tracks; this one may lack some. `now`:
  // the track as the teacher would make it here.
  void expect(const std::vector<GroupKey>& keys, const TrackInfo& now) {
    figures_.resize(keys.size());
    for (const GroupKey key : keys) {
      const std::uint64_t number = shard_of(plan_, key);
      if (!std::ranges::binary_search(shards_, number) || arithmetic_.contains(number)) continue;
      arithmetic_[number] =
          arithmetic_distance(now.made_with.precision, same_arithmetic(reader_, number, now.made_with));
    }
  }

  // Compares the i-th expected group. Thread-safe. Skips views that are left out, as their targets may be blank or
  // older.
  void compare(std::size_t i, GroupKey key, std::vector<float> now, std::span<const Recipe> recipes) {
    const auto arithmetic = arithmetic_.find(shard_of(plan_, key));
    if (arithmetic == arithmetic_.end()) return;
    TrackReader::Scratch scratch;
    std::vector<float> stored(now.size());
    reader_.read(key, scratch, stored);
    const auto each = static_cast<std::ptrdiff_t>(now.size() / recipes.size());
    bool whole = true;
    for (std::size_t v = 0; v < recipes.size(); ++v)
      if (is_left_out(recipes[v])) {
        whole = false;
        const auto first = static_cast<std::ptrdiff_t>(v) * each;
        std::copy_n(stored.begin() + first, each, now.begin() + first);
      }
    figures_[i] = check_.compare(now, stored, plan_.options().group, arithmetic->second, whole);
  }

  DeepResult result() const {
    if (shards_.empty()) return not_run(reader_.track().directory(), "it has no undamaged shard with recipes");
    DeepResult result;
    result.track = reader_.track().directory();
    CodecLoss loss;
    ValueFigures worst;
    for (const std::optional<ValueFigures>& group : figures_) {
      if (!group) continue;
      if (result.groups++ == 0 || group->excess() > worst.excess()) worst = *group;
      result.identical += group->identical ? 1 : 0;
      loss.add(group->loss);
    }
    result.views = result.groups * plan_.options().group;
    result.error = worst.error, result.bound = worst.bound;
    result.difference = worst.difference, result.tolerance = worst.tolerance;
    result.loss = nlohmann::ordered_json::parse(loss.json());
    result.verdict = !check_.no_verdict().empty() ? Verdict::kNone
                     : worst.beyond()             ? Verdict::kBeyond
                                                  : Verdict::kWithin;
    result.why = !check_.no_verdict().empty() ? check_.no_verdict() : worst.why();
    return result;
  }

 private:
  const Plan& plan_;
  TrackReader reader_;
  ValueCheck check_;
  std::vector<std::uint64_t> shards_;           // undamaged, ascending
  std::map<std::uint64_t, double> arithmetic_;  // arithmetic_distance() of the sampled shards
  std::vector<std::optional<ValueFigures>> figures_;
};

// The folder of images.
struct Images {
  ViewMaker maker;
  LostPictures lost;
};

// The pictures of a group as the teacher saw them. Marks the views in `recipes` whose images are lost.
std::vector<std::uint8_t> pictures_of(const Cache& cache, const Images& images, GroupKey key,
                                      std::vector<Recipe>& recipes, int size) {
  const std::optional<std::size_t> hashed = hashed_view(recipes, key.group);
  const bool lost = hashed && images.lost.concern(recipes, *hashed);
  images.lost.mark(recipes);
  std::vector<std::uint8_t> pictures = images.maker.group(recipes, size);
  if (!lost && hash_of_group(recipes, key.group, pictures) != cache.picture_hash(key))
    fail("pass ", key.pass, ", group ", key.group,
         ": the given images give a different picture than the teacher saw; give the folder that the cache was made "
         "from");
  return pictures;
}

// One teacher's tracks over the groups of their samples.
std::vector<DeepResult> run_teacher(const Cache& cache, const ReopenedTeacher& reopened, const Images& images,
                                    const Damage& damage, std::uint64_t groups) {
  const Teacher teacher(reopened.teacher, reopened.taps);
  const std::uint32_t views = cache.plan().options().group;
  const std::vector<TrackInfo> outputs = teacher.tracks(cache.plan());
  std::vector<std::unique_ptr<Asked>> tracks;  // in the order of the teacher's outputs
  std::set<GroupKey> sampled;
  for (const TrackInfo& output : outputs) {
    const TrackInfo& track =
        **std::ranges::find_if(reopened.tracks, [&](const TrackInfo* t) { return t->name() == output.name(); });
    if (track.shape != output.shape)
      fail(track.directory(), ": its shape differs from the teacher's output, so its provenance is wrong");
    tracks.push_back(std::make_unique<Asked>(cache, track, damage));
    const std::vector<GroupKey> own = tracks.back()->sample(groups);
    sampled.insert(own.begin(), own.end());
  }
  const std::vector<GroupKey> keys(sampled.begin(), sampled.end());
  for (std::size_t t = 0; t < tracks.size(); ++t) tracks[t]->expect(keys, outputs[t]);
  tbb::task_arena arena;
  const OneThreadEach one_thread_each(arena);
  Progress progress("teacher " + reopened.teacher.name, "views", keys.size() * views);
  arena.execute([&] {
    tbb::parallel_for(std::size_t{0}, keys.size(), [&](std::size_t i) {
      std::vector<Recipe> recipes = cache.recipes(keys[i]);
      auto values = teacher.run(pictures_of(cache, images, keys[i], recipes, teacher.image_size()), views);
      for (std::size_t t = 0; t < tracks.size(); ++t) tracks[t]->compare(i, keys[i], std::move(values[t]), recipes);
      progress.advance(views);
    });
  });
  progress.finish();
  std::vector<DeepResult> results;
  for (const auto& track : tracks) results.push_back(track->result());
  return results;
}

}  // namespace

std::vector<DeepResult> deep_check(const Cache& cache, const DeepRequest& request) {
  at::set_num_threads(1);
  const Damage damage(request.findings);
  std::vector<DeepResult> results;
  for (const auto& [track, why] : damage.tracks())
    if (wanted(track, request.tracks)) results.push_back(not_run(track, why));
  std::vector<TrackInfo> tracks;
  for (const TrackInfo& track : cache.tracks())
    if (wanted(track.directory(), request.tracks) && !damage.tracks().contains(track.directory()))
      tracks.push_back(track);
  if (tracks.empty() && results.empty())
    fail(cache.directory().string(), ": has no such track to compare with the teacher");
  const std::uint32_t group = cache.plan().options().group;
  const std::uint64_t groups = (request.views + group - 1) / group;
  const Images images{ViewMaker(request.images, cache.index_ptr(), cache.plan().options().image_size),
                      LostPictures(request.images, cache.index_ptr(), read_left_out(cache.directory() / kLeftOutFile))};
  for (const ReopenedTeacher& teacher :
       reopen_teachers(tracks, {request.weights, request.zero_shot, request.allow_module}, request.device))
    for (DeepResult& result : run_teacher(cache, teacher, images, damage, groups)) results.push_back(std::move(result));
  std::ranges::sort(results, {}, &DeepResult::track);
  return results;
}

}  // namespace vitrine
