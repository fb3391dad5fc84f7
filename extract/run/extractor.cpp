#include "extract/run/extractor.h"

#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/cache/shard_draft.h"
#include "common/cache/writer.h"
#include "common/image/left_out.h"
#include "common/cache/left_out_views.h"
#include "common/teacher/one_thread_each.h"
#include "extract/run/recipes.h"
#include "extract/run/shard_line.h"

namespace vitrine {

Extractor::Extractor(std::filesystem::path cache, const Plan& plan, const Teacher* teacher, const ViewMaker& views,
                     ReadyTracks ready, ShardNotes notes, std::uint32_t workers)
    : cache_(std::move(cache)),
      plan_(plan),
      teacher_(teacher),
      views_(views),
      ready_(std::move(ready)),
      notes_(std::move(notes)),
      workers_(workers) {
  for (std::size_t t = 0; t < ready_.tracks.size(); ++t)
    encoders_.emplace_back(ready_.tracks[t], *ready_.codecs[t], ready_.bases[t].get());
  left_out_later_ = std::ranges::any_of(read_left_out(cache_ / kLeftOutFile),
                                        [](const LeftOut& entry) { return entry.kind > LeftOutKind::kNotInIndex; });
}

namespace {

// The complete shards: those that the recipes' and every track's directory have.
class CompleteShards {
 public:
  CompleteShards(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks)
      : numbers_(list_shard_numbers(cache / "recipes")) {
    for (const TrackInfo& track : tracks) {
      std::vector<std::uint64_t> both;
      std::ranges::set_intersection(numbers_, list_shard_numbers(cache / track.directory()), std::back_inserter(both));
      numbers_ = std::move(both);
    }
  }
  bool contain(std::uint64_t number) const { return std::ranges::binary_search(numbers_, number); }

 private:
  std::vector<std::uint64_t> numbers_;
};

// Whether any track of the cache, of this run or not, has a shard of that number.
bool any_track_has(const std::filesystem::path& cache, std::uint64_t number) {
  const std::string file = shard_file_name(number);
  for (const DirectoryEntry& teacher : list_directory(cache)) {
    if (teacher.kind != DirectoryEntry::Kind::kDirectory || !is_teacher_directory(teacher.name)) continue;
    for (const DirectoryEntry& track : list_directory(cache / teacher.name))
      if (track.kind == DirectoryEntry::Kind::kDirectory && path_exists(cache / teacher.name / track.name / file))
        return true;
  }
  return false;
}

}  // namespace

class Extractor::Shard : public ShardWork {
 public:
  /// Calls `listed` with each published file and its directory: 0 for recipes, t + 1 for track t.
  Shard(const Extractor& extractor, ShardKey key, Progress& progress,
        std::function<void(std::size_t, const FileRecord&)> listed, std::function<void(const Shard&)> published)
      : extractor_(extractor),
        plan_(extractor.plan_),
        key_(key),
        progress_(progress),
        listed_(std::move(listed)),
        published_(std::move(published)),
        group_losses_(extractor.ready_.tracks.size(), std::vector<CodecLoss>(plan_.layout().span_of(key).groups)) {
    views_.picture_hashes.resize(groups());
    views_.left_out.resize(views_.picture_hashes.size());
    for (std::size_t t = 0; t < extractor.ready_.tracks.size(); ++t) {
      const TrackInfo& track = extractor.ready_.tracks[t];
      const bool there = shard_exists(extractor.cache_, track, plan_, key.pass, key.shard);
      drafts_.push_back(there ? nullptr
                              : std::make_unique<ShardDraft>(track, plan_, key.pass, key.shard,
                                                             extractor.ready_.codecs[t]->layout()));
    }
    // Recipes are published before targets, by other processes too: targets that are there now have theirs.
    const bool targets_exist = extractor.left_out_later_ && any_track_has(extractor.cache_, number());
    if (recipes_exist(extractor.cache_, plan_, key.pass, key.shard))
      recorded_ = recorded_views(extractor.cache_, plan_, key.pass, key.shard);
    if (targets_exist && !recorded_) fail_without_recipes();
  }

  std::uint32_t groups() const override { return plan_.layout().span_of(key_).groups; }
  std::uint64_t number() const { return plan_.layout().number_of(key_); }
  std::uint64_t views() const { return std::uint64_t{groups()} * plan_.options().group; }
  std::uint64_t views_left_out() const { return views_.count(); }
  /// After publish(): the tracks' new files; none for files that existed.
  const std::vector<std::optional<FileRecord>>& files() const { return files_; }
  /// The quantisation error of each track's file.
  CodecLoss loss(std::size_t track) const {
    CodecLoss sum;
    for (const CodecLoss& group : group_losses_[track]) sum.add(group);
    return sum;
  }

  void make(std::uint32_t g, const StopFlag& dropped) override {
    const std::uint32_t group = plan_.layout().span_of(key_).group(g).group;
    try {
      std::vector<Recipe> recipes = plan_.group(key_.pass, group);
      if (recorded_) recipes = marked(std::move(recipes), recorded_->left_out[g]);
      const std::optional<std::size_t> hashed = hashed_view(recipes, group);
      const auto views = static_cast<std::uint32_t>(recipes.size());
      const std::vector<std::uint8_t> pictures = extractor_.views_.group_or_mark(recipes, image_size());
      views_.picture_hashes[g] = hash_of_group(recipes, group, pictures);
      views_.left_out[g] = positions_left_out(recipes);
      // A view that has just been left out has nothing to compare.
      if (recorded_ && hashed == hashed_view(recipes, group))
        check_picture(recorded_->picture_hashes[g], views_.picture_hashes[g]);
      std::vector<std::vector<float>> values;
      if (extractor_.teacher_ != nullptr) values = extractor_.teacher_->run(pictures, views, dropped);
      for (std::size_t t = 0; t < drafts_.size(); ++t) {
        if (!drafts_[t]) continue;
        blank_left_out(recipes, values[t], extractor_.ready_.bases[t].get());
        EncodedGroup encoded = extractor_.encoders_[t].encode(values[t], views);
        group_losses_[t][g] = encoded.loss;
        drafts_[t]->set(g, std::move(encoded.arrays));
      }
      progress_.advance(views);
    } catch (const Error& error) {
      Problem problem = error.problem();
      problem.what = text("pass ", key_.pass, ", group ", group, ": ", problem.what);
      throw Error(error.kind(), std::move(problem));
    }
  }

  void compress(std::uint32_t g) override {
    for (const std::unique_ptr<ShardDraft>& draft : drafts_)
      if (draft) draft->compress(g);
  }

  void publish() override {
    const std::filesystem::path& cache = extractor_.cache_;
    publish_recipes();
    for (std::size_t t = 0; t < drafts_.size(); ++t) {
      ShardNotes notes = extractor_.notes_;
      notes.loss = loss(t).json();
      files_.push_back(drafts_[t] ? std::optional(drafts_[t]->publish(cache, notes)) : std::nullopt);
      if (files_[t]) listed_(t + 1, *files_[t]);
    }
    published_(*this);
  }

 private:
  // A teacher's too (Teacher::tracks).
  int image_size() const { return static_cast<int>(plan_.options().image_size); }
  std::filesystem::path recipes_file() const { return extractor_.cache_ / "recipes" / shard_file_name(number()); }

  // Without the recipes it is unknown which of the existing targets are blank.
  [[noreturn]] void fail_without_recipes() const {
    throw Error(
        ErrorKind::kInput,
        {.path = recipes_file().string(),
         .what = "is missing, but targets of its views exist, some of which may have been left out",
         .remedy = "copy it from another copy of the cache, or remove these targets' shards of the same number"});
  }

  // Before the targets: a reader that sees these sees which of them are blank.
  void publish_recipes() {
    const auto hash_of = [&](std::uint32_t group, std::span<const Recipe> recipes) {
      return hash_of_group(recipes, group, extractor_.views_.group(recipes, image_size()));
    };
    MergedRecipes merged = merge_recipes(extractor_.cache_, plan_, key_, views_, hash_of);
    if (merged.to_list) listed_(0, *merged.to_list);
    views_ = std::move(merged.views);
  }

  const Extractor& extractor_;
  const Plan& plan_;
  ShardKey key_;
  Progress& progress_;
  std::function<void(std::size_t, const FileRecord&)> listed_;
  std::function<void(const Shard&)> published_;
  RecordedViews views_;                               // as made now
  std::optional<RecordedViews> recorded_;             // as in the existing recipes, if any
  std::vector<std::vector<CodecLoss>> group_losses_;  // [track][group]
  std::vector<std::unique_ptr<ShardDraft>> drafts_;   // one per track; null if its file exists
  std::vector<std::optional<FileRecord>> files_;
};

Extractor::Made Extractor::run(std::span<const ShardKey> shards, const StopFlag& stop,
                               std::chrono::duration<double> finish_within) const {
  std::vector<ShardKey> missing;
  std::uint64_t total = 0, done = 0;
  const std::vector<TrackInfo>& tracks = ready_.tracks;
  const CompleteShards complete(cache_, tracks);
  for (const ShardKey& key : shards) {
    const std::uint64_t views = plan_.layout().span_of(key).views;
    total += views;
    if (complete.contain(plan_.layout().number_of(key))) {
      done += views;
    } else {
      missing.push_back(key);
    }
  }
  if (done > 0 && done < total)
    note(text(human_count(done), " of ", human_count(total), " views exist already; making the rest"));
  if (done == total) note(text("all ", human_count(total), " views exist already"));
  Made made;
  made.directories.push_back({cache_ / "recipes"});
  for (const TrackInfo& track : tracks) made.directories.push_back({cache_ / track.directory()});
  std::vector<ShardLog> logs;
  for (const Made::Directory& directory : made.directories) logs.emplace_back(directory.path);
  const auto list = [&](std::size_t directory, const FileRecord& file) {
    made.directories[directory].files.push_back(file);
    logs[directory].append(file);
  };
  made.losses.resize(tracks.size());
  Progress progress("extract", "views", total, done);
  const auto published = [&](const Shard& shard) {
    for (std::size_t t = 0; t < tracks.size(); ++t) {
      if (!shard.files()[t]) continue;
      made.bytes += shard.files()[t]->bytes;
      made.losses[t].add(shard.loss(t));
    }
    made.views += shard.views();
    made.left_out += shard.views_left_out();
    if (made.shards++ > 0 || missing.size() == 1 || tracks.empty()) return;
    const double view_bytes = static_cast<double>(made.bytes) / static_cast<double>(made.views);
    note(text("at the first shard's ", human_bytes(view_bytes), " per view the missing shards will take ",
              human_bytes(view_bytes * static_cast<double>(total - done))));
  };
  auto next = missing.begin();
  const auto next_shard = [&]() -> std::unique_ptr<ShardWork> {
    if (next == missing.end()) return nullptr;
    return std::make_unique<Shard>(*this, *next++, progress, list, published);
  };
  if (!missing.empty()) {
    // More workers than cores may help with slow disks.
    const std::size_t usual = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
    const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                      std::max<std::size_t>(usual, workers_));
    tbb::task_arena arena(static_cast<int>(workers_));
    const OneThreadEach one_thread_each(arena);
    const auto named = [](const char* doing, LineStop::Shards works) {
      std::string words;
      for (const ShardWork* work : works)
        words += text(words.empty() ? "" : " and ", static_cast<const Shard*>(work)->number());
      return words.empty() ? words : text(doing, works.size() == 1 ? " shard " : " shards ", words);
    };
    const auto tell = [&](LineStop::Shards finished, LineStop::Shards dropped) {
      const std::string finishing = named("finishing", finished), dropping = named("dropping", dropped);
      note(text("stopping: ", finishing, finishing.empty() || dropping.empty() ? "" : ", ", dropping,
                "; Ctrl-C again ends at once"));
    };
    run_shard_line(arena, workers_, next_shard, {stop, finish_within, tell});
    made.stopped = stop;
    if (!made.stopped) progress.finish();
  }
  return made;
}

}  // namespace vitrine
