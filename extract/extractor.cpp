#include "extract/extractor.h"

#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <torch/torch.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/progress.h"
#include "common/cache/manifest.h"
#include "common/cache/shard_draft.h"
#include "common/cache/writer.h"
#include "common/image/decode.h"
#include "common/teacher/one_thread_each.h"
#include "extract/shard_line.h"

namespace vitrine {

Extractor::Extractor(std::filesystem::path cache, const Plan& plan, const Teacher& teacher, const ViewMaker& views,
                     ReadyTracks ready, ShardNotes notes, std::uint32_t workers)
    : cache_(std::move(cache)),
      plan_(plan),
      teacher_(teacher),
      views_(views),
      ready_(std::move(ready)),
      notes_(std::move(notes)),
      workers_(workers) {
  for (std::size_t t = 0; t < ready_.tracks.size(); ++t)
    in_basis_.push_back(ready_.bases[t] && ready_.bases[t]->orthonormal()
                            ? dynamic_cast<const TransformCodec*>(ready_.codecs[t].get())
                            : nullptr);
}

bool Extractor::complete(ShardKey key) const {
  if (!recipes_exist(cache_, plan_, key.pass, key.shard)) return false;
  for (const TrackInfo& track : ready_.tracks)
    if (!shard_exists(cache_, track, plan_, key.pass, key.shard)) return false;
  return true;
}

class Extractor::Shard : public ShardWork {
 public:
  Shard(const Extractor& extractor, ShardKey key, Progress& progress, std::function<void(const Shard&)> published)
      : extractor_(extractor),
        plan_(extractor.plan_),
        key_(key),
        progress_(progress),
        published_(std::move(published)),
        picture_hashes_(groups_in_shard(plan_, key.shard)),
        group_losses_(extractor.ready_.tracks.size(), std::vector<CodecLoss>(picture_hashes_.size())) {
    if (recipes_exist(extractor.cache_, plan_, key.pass, key.shard))
      recorded_ = recorded_picture_hashes(extractor.cache_, plan_, key.pass, key.shard);
    for (std::size_t t = 0; t < extractor.ready_.tracks.size(); ++t) {
      const TrackInfo& track = extractor.ready_.tracks[t];
      const bool there = shard_exists(extractor.cache_, track, plan_, key.pass, key.shard);
      drafts_.push_back(there ? nullptr
                              : std::make_unique<ShardDraft>(track, plan_, key.pass, key.shard,
                                                             extractor.ready_.codecs[t]->layout()));
    }
  }

  std::uint32_t groups() const override { return static_cast<std::uint32_t>(picture_hashes_.size()); }
  std::uint64_t views() const { return std::uint64_t{groups()} * plan_.options().group; }
  /// After publish(): the files that were written, of the recipes and of each track; none where one was there.
  const std::optional<FileRecord>& recipes() const { return recipes_; }
  const std::vector<std::optional<FileRecord>>& files() const { return files_; }
  /// The error made in each track's file.
  CodecLoss loss(std::size_t track) const {
    CodecLoss sum;
    for (const CodecLoss& group : group_losses_[track]) sum.add(group);
    return sum;
  }

  void make(std::uint32_t g) override {
    const std::uint32_t group = key_.shard * plan_.options().shard_groups + g;
    try {
      const std::vector<Recipe> recipes = plan_.group(key_.pass, group);
      const auto views = static_cast<std::uint32_t>(recipes.size());
      const std::vector<std::uint8_t> pictures = extractor_.views_.group(recipes, extractor_.teacher_.image_size());
      const std::size_t view_bytes = pictures.size() / views;
      picture_hashes_[g] = picture_hash(std::span(pictures).subspan(group % views * view_bytes, view_bytes));
      if (!recorded_.empty()) check_picture(recorded_[g], picture_hashes_[g]);
      const std::vector<std::vector<float>> values = extractor_.teacher_.run(pictures, views);
      for (std::size_t t = 0; t < drafts_.size(); ++t)
        if (drafts_[t]) store(g, t, values[t], views);
      progress_.advance(views);
    } catch (const Error& error) {
      fail("pass ", key_.pass, ", group ", group, ": ", error.what());
    }
  }

  void compress(std::uint32_t g) override {
    for (const std::unique_ptr<ShardDraft>& draft : drafts_)
      if (draft) draft->compress(g);
  }

  void publish() override {
    const std::filesystem::path& cache = extractor_.cache_;
    if (recorded_.empty()) {
      recipes_ = write_recipes(cache, plan_, key_.pass, key_.shard, picture_hashes_, decoder_versions());
      // Another process may have been first.
      recorded_ = recorded_picture_hashes(cache, plan_, key_.pass, key_.shard);
      for (std::size_t g = 0; g < picture_hashes_.size(); ++g) check_picture(recorded_[g], picture_hashes_[g]);
    }
    for (std::size_t t = 0; t < drafts_.size(); ++t) {
      ShardNotes notes = extractor_.notes_;
      notes.loss = loss(t).json();
      files_.push_back(drafts_[t] ? std::optional(drafts_[t]->publish(cache, notes)) : std::nullopt);
    }
    published_(*this);
  }

 private:
  // Targets of one shard, whenever they were made, are of the same pixels.
  static void check_picture(std::uint64_t recorded, std::uint64_t made) {
    if (recorded == made) return;
    std::string decoders;
    for (const auto& [name, version] : decoder_versions())
      decoders += text(decoders.empty() ? "" : ", ", name, " ", version);
    fail("the picture made here is not the one that the cache's other targets were made of (hash ", hexadecimal(made),
         ", the recipes have ", hexadecimal(recorded), "); images are decoded in another way here (", decoders,
         "): go on where the cache was begun, or make another cache");
  }

  // Encodes, and decodes again to prove that it can be and to learn what it cost: where the basis only turns channels,
  // from coefficients, which spares the product back.
  void store(std::uint32_t g, std::size_t t, std::span<const float> raw, std::uint32_t views) {
    const TrackInfo& track = extractor_.ready_.tracks[t];
    const Codec& codec = *extractor_.ready_.codecs[t];
    const FeatureBasis* basis = extractor_.ready_.bases[t].get();
    try {
      std::vector<Array> arrays;
      std::vector<float> decoded(raw.size());
      if (const auto* in_basis = extractor_.in_basis_[t]; in_basis != nullptr) {
        std::vector<float> coefficients(raw.size());
        arrays = in_basis->encode(raw, views, coefficients);
        in_basis->decode_coefficients(arrays[0].bytes, views, decoded);
        group_losses_[t][g] = measure_loss_in_basis(track.shape, views, raw, basis->mean, coefficients, decoded);
      } else {
        arrays = codec.encode(raw, views);
        std::vector<std::span<const std::byte>> bytes;
        for (const Array& array : arrays) bytes.emplace_back(array.bytes);
        codec.decode(bytes, views, decoded);
        group_losses_[t][g] = measure_loss(track.kind, track.shape, views, raw, decoded,
                                           basis == nullptr ? std::span<const float>() : std::span(basis->mean));
      }
      // What a codec promises is held against what it did; orthonormal bases of floats lose a little more.
      constexpr double kRounding = 1e-3, kFloor = 1e-9;
      const double bound = track.codec.max_error;
      if (const double error = group_losses_[t][g].worst_group;
          track.codec.form == Form::kTransform && error > bound * (1 + kRounding) + kFloor)
        fail("lost ", error, " of the energy of a group, more than taps.max_error = ", bound,
             "; this is a fault of the codec, please report it");
      drafts_[t]->set(g, std::move(arrays));
    } catch (const Error& error) {
      fail(track.name(), ": ", error.what());
    }
  }

  const Extractor& extractor_;
  const Plan& plan_;
  ShardKey key_;
  Progress& progress_;
  std::function<void(const Shard&)> published_;
  std::vector<std::uint64_t> picture_hashes_;
  std::vector<std::uint64_t> recorded_;               // the recipes' when they are there; else none
  std::vector<std::vector<CodecLoss>> group_losses_;  // [track][group]
  std::vector<std::unique_ptr<ShardDraft>> drafts_;   // one a track; none where its file is there
  std::optional<FileRecord> recipes_;
  std::vector<std::optional<FileRecord>> files_;
};

Extractor::Made Extractor::run(std::span<const ShardKey> shards, const std::atomic<bool>& stop) const {
  std::vector<ShardKey> missing;
  std::uint64_t total = 0, done = 0;
  for (const ShardKey& key : shards) {
    const std::uint64_t views = std::uint64_t{groups_in_shard(plan_, key.shard)} * plan_.options().group;
    total += views;
    if (complete(key)) {
      done += views;
    } else {
      missing.push_back(key);
    }
  }
  if (done > 0)
    note(text(human_count(done), " of ", human_count(total), " views are there already; going on with the rest"));
  Made made;
  const std::vector<TrackInfo>& tracks = ready_.tracks;
  std::vector<FileRecord> made_recipes;
  std::vector<std::vector<FileRecord>> made_files(tracks.size());
  made.losses.resize(tracks.size());
  Progress progress("extract", "views", total, done);
  const auto published = [&](const Shard& shard) {
    if (shard.recipes()) made_recipes.push_back(*shard.recipes());
    for (std::size_t t = 0; t < tracks.size(); ++t) {
      if (!shard.files()[t]) continue;
      made_files[t].push_back(*shard.files()[t]);
      made.bytes += shard.files()[t]->bytes;
      made.losses[t].add(shard.loss(t));
    }
    made.views += shard.views();
    if (made.shards++ > 0 || missing.size() == 1) return;
    const double view_bytes = static_cast<double>(made.bytes) / static_cast<double>(made.views);
    note(text("at the first shard's ", human_bytes(view_bytes), " a view the missing shards will take ",
              human_bytes(view_bytes * static_cast<double>(total - done))));
  };
  auto next = missing.begin();
  const auto next_shard = [&]() -> std::unique_ptr<ShardWork> {
    if (next == missing.end()) return nullptr;
    made.stopped = stop;
    if (made.stopped) return nullptr;
    return std::make_unique<Shard>(*this, *next++, progress, published);
  };
  if (!missing.empty()) {
    // More workers than cores are allowed: they wait for slow disks.
    const std::size_t usual = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
    const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                      std::max<std::size_t>(usual, workers_));
    tbb::task_arena arena(static_cast<int>(workers_));
    const OneThreadEach one_thread_each(arena);
    run_shard_line(arena, workers_, next_shard);
    if (!made.stopped) progress.finish();
  }
  refresh_manifest(cache_ / "recipes", made_recipes);
  for (std::size_t t = 0; t < tracks.size(); ++t) refresh_manifest(cache_ / tracks[t].directory(), made_files[t]);
  return made;
}

}  // namespace vitrine
