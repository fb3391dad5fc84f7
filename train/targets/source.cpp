#include "train/targets/source.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>
#include <utility>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/local_ranks.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/codec/topk.h"
#include "common/codec/transform/transform_codec.h"
#include "common/teacher/calibrate.h"
#include "train/targets/mapped_targets.h"
#include "train/losses/topk.h"

namespace vitrine {
namespace {

std::vector<std::int64_t> wide(const std::vector<std::uint32_t>& shape) {
  return {shape.begin(), shape.end()};
}

std::vector<std::uint32_t> first_passes(std::uint32_t count) {
  std::vector<std::uint32_t> out(count);
  std::iota(out.begin(), out.end(), 0u);
  return out;
}

// Room for a group's features, which is large and not filled with zeros first.
at::Tensor room_for(const TrackInfo& track, std::uint32_t views) {
  std::vector<std::int64_t> shape = wide(track.shape);
  shape.insert(shape.begin(), views);
  const auto memory = std::make_shared<Buffer>();
  float* first = memory->numbers<float>(track.view_values() * views).data();
  return at::from_blob(
      first, shape, [memory](void*) {}, at::kFloat);
}

std::span<float> numbers(const at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

TargetShapes shapes_of(const TrackInfo* logits, const std::vector<const TrackInfo*>& features,
                       std::vector<std::shared_ptr<const FeatureBasis>> bases, const TrackInfo* attention, bool topk) {
  TargetShapes out;
  if (logits != nullptr) {
    out.classes = logits->shape[0];
    out.topk = topk;
    out.logits = topk ? std::vector<std::int64_t>{2 * std::int64_t{logits->codec.kept} + 1} : wide(logits->shape);
  }
  for (const TrackInfo* track : features) out.features.push_back(wide(track->shape));
  out.bases = std::move(bases);
  if (attention != nullptr) out.attention = wide(attention->shape);
  return out;
}

// Which of the track's temperatures is the loss's: the tail's mass is known at no other.
std::size_t tail_at(const TrackInfo& track, double temperature) {
  std::string there;
  for (std::size_t t = 0; t < track.codec.temperatures.size(); ++t) {
    if (track.codec.temperatures[t] == temperature) return t;
    there += text(t > 0 ? ", " : "", track.codec.temperatures[t]);
  }
  fail("loss.temperature = ", temperature, ", but the topk track ", track.directory(),
       " has the mass of the classes that it left out at ", there,
       " only; choose one of these, or extract it again with that temperature in taps.topk_temperatures");
}

// The buffers of a topk group, and the rows that they make.
struct TopkGroup {
  TopkGroup(const TrackInfo& track, std::uint32_t group)
      : views(group),
        values(std::size_t{track.codec.kept} * group),
        tails(track.codec.temperatures.size() * group),
        indices(values.size()) {}
  std::vector<float> packed(std::size_t at) const {
    const std::size_t each = tails.size() / views;
    std::vector<float> tail(views);
    for (std::size_t view = 0; view < views; ++view) tail[view] = tails[view * each + at];
    return pack_topk(values, indices, tail);
  }
  std::uint32_t views;
  std::vector<float> values, tails;
  std::vector<std::uint32_t> indices;
};

// Views from a plan, no targets.
class NoTargets : public TargetSource {
 public:
  NoTargets(const TrainOptions& options, std::shared_ptr<const ImageIndex> index)
      : plan_(std::move(index), options.plan),
        passes_(options.targets.passes > 0
                    ? options.targets.passes
                    : static_cast<std::uint32_t>(std::ceil(std::max(1.0, options.schedule.run_epochs())))) {}

  const Plan& plan() const override { return plan_; }
  TargetShapes shapes() const override { return {}; }
  std::vector<std::uint32_t> passes(bool) const override { return first_passes(passes_); }
  std::vector<Recipe> recipes(GroupKey key) const override { return plan_.group(key.pass, key.group); }
  std::optional<std::uint64_t> picture_hash(GroupKey) const override { return std::nullopt; }
  GroupTargets targets(GroupKey, std::span<const std::uint8_t>) const override { return {}; }

 private:
  Plan plan_;
  std::uint32_t passes_;
};

// The reference that a cache is held against: the teacher itself, on the same views.
class LiveTeacher : public NoTargets {
 public:
  LiveTeacher(const TrainOptions& options, std::shared_ptr<const ImageIndex> index,
              const std::shared_ptr<BadPictures>& bad, const StopFlag& stop)
      : NoTargets(options, index),
        teacher_(options.targets.teacher, options.targets.taps),
        tracks_(teacher_.tracks(plan())),
        through_codec_(options.targets.through_codec) {
    logits_ = find("logits", true);
    for (const std::string& name : feature_tracks(options.targets.features)) features_.push_back(find(name, true));
    attention_ = find(options.targets.attention, !options.targets.attention.empty());
    if (through_codec_) make_codecs(options, index, bad, stop);
    topk_ = through_codec_ && tracks_[static_cast<std::size_t>(logits_)].codec.form == Form::kTopk;
    if (topk_) tail_ = tail_at(tracks_[static_cast<std::size_t>(logits_)], options.loss.temperature);
  }

  TargetShapes shapes() const override {
    const auto info = [this](int track) { return track < 0 ? nullptr : &tracks_[static_cast<std::size_t>(track)]; };
    std::vector<const TrackInfo*> features;
    std::vector<std::shared_ptr<const FeatureBasis>> bases;
    for (const int track : features_) {
      features.push_back(info(track));
      bases.push_back(through_codec_ ? bases_[static_cast<std::size_t>(track)] : nullptr);
    }
    return shapes_of(info(logits_), features, std::move(bases), info(attention_), topk_);
  }
  std::vector<TrackInfo> tracks() const override {
    std::vector<TrackInfo> out{tracks_[static_cast<std::size_t>(logits_)]};
    for (const int track : features_) out.push_back(tracks_[static_cast<std::size_t>(track)]);
    if (attention_ >= 0) out.push_back(tracks_[static_cast<std::size_t>(attention_)]);
    return out;
  }
  bool needs_pictures() const override { return true; }
  GroupTargets targets(GroupKey, std::span<const std::uint8_t> pictures) const override {
    const std::uint32_t views = plan().options().group;
    std::vector<std::vector<float>> values = teacher_.run(pictures, views);
    const auto take = [&](int track) {
      if (track < 0) return std::vector<float>{};
      const auto t = static_cast<std::size_t>(track);
      if (topk_ && track == logits_) return kept(values[t], views);
      if (through_codec_) vitrine::through_codec(*codecs_[t], views, values[t]);
      return std::move(values[t]);
    };
    GroupTargets out{take(logits_), {}, take(attention_)};
    for (const int track : features_) {
      const auto t = static_cast<std::size_t>(track);
      out.features.push_back(room_for(tracks_[t], views));
      // With a basis, what a reader of the same track's cache gives.
      if (through_codec_ && bases_[t]) {
        const auto& codec = dynamic_cast<const TransformCodec&>(*codecs_[t]);
        codec.decode_coefficients(codec.encode(values[t], views)[0].bytes, views, numbers(out.features.back()));
      } else {
        std::ranges::copy(take(track), numbers(out.features.back()).begin());
      }
    }
    return out;
  }

 private:
  int find(const std::string& name, bool wanted) const {
    if (!wanted) return -1;
    std::string there;
    for (std::size_t t = 0; t < tracks_.size(); ++t) {
      if (tracks_[t].name() == name) return static_cast<int>(t);
      there += (t > 0 ? ", " : "") + tracks_[t].name();
    }
    fail("targets: the live teacher has no track ", name, " (it has ", there, "); name its block in targets.taps");
  }

  // The bases are those that vitrine-extract would make.
  void make_codecs(const TrainOptions& options, const std::shared_ptr<const ImageIndex>& index,
                   const std::shared_ptr<BadPictures>& bad, const StopFlag& stop) {
    const ViewMaker maker(options.folders(), index, plan().options().image_size, bad);
    const std::uint32_t workers = options.workers > 0 ? options.workers : default_threads();
    ReadyTracks ready =
        make_ready(teacher_, maker, plan(), tracks_, std::vector<std::shared_ptr<const FeatureBasis>>(tracks_.size()),
                   options.targets.taps.calibration_views, workers, stop);
    tracks_ = std::move(ready.tracks);
    codecs_ = std::move(ready.codecs);
    bases_ = std::move(ready.bases);
  }

  std::vector<float> kept(std::span<const float> logits, std::uint32_t views) const {
    const auto t = static_cast<std::size_t>(logits_);
    const std::vector<Array> arrays = codecs_[t]->encode(logits, views);
    const std::vector<std::span<const std::byte>> bytes{arrays[0].bytes, arrays[1].bytes, arrays[2].bytes};
    TopkGroup group(tracks_[t], views);
    dynamic_cast<const TopkCodec&>(*codecs_[t]).decode_kept(bytes, views, group.values, group.indices, group.tails);
    return group.packed(tail_);
  }

  Teacher teacher_;
  std::vector<TrackInfo> tracks_;
  std::vector<std::unique_ptr<const Codec>> codecs_;        // one a track, with through_codec_; as the bases
  std::vector<std::shared_ptr<const FeatureBasis>> bases_;  // null for forms without
  bool through_codec_, topk_ = false;
  std::size_t tail_ = 0;  // which of the tail's temperatures is the loss's
  int logits_ = -1, attention_ = -1;
  std::vector<int> features_;
};

class CachedTargets : public TargetSource {
 public:
  CachedTargets(const TargetOptions& options, const ImageIndex& index, const std::string& images, double temperature)
      : cache_(options.cache) {
    check_same_images(cache_.index(), index, options.cache, images);
    logits_ = open(options, "logits");
    for (const std::string& name : feature_tracks(options.features)) features_.push_back(open(options, name));
    if (!options.attention.empty()) attention_ = open(options, options.attention);
    topk_ = logits_->track().codec.form == Form::kTopk;
    if (topk_) tail_ = tail_at(logits_->track(), temperature);
  }

  const Plan& plan() const override { return cache_.plan(); }
  TargetShapes shapes() const override {
    const auto info = [](const auto& reader) { return reader ? &reader->track() : nullptr; };
    std::vector<const TrackInfo*> features;
    std::vector<std::shared_ptr<const FeatureBasis>> bases;
    for (const auto& reader : features_) {
      features.push_back(info(reader));
      bases.push_back(reader->basis());
    }
    return shapes_of(info(logits_), features, std::move(bases), info(attention_), topk_);
  }
  std::vector<TrackInfo> tracks() const override {
    std::vector<TrackInfo> out{logits_->track()};
    for (const auto& reader : features_) out.push_back(reader->track());
    if (attention_) out.push_back(attention_->track());
    return out;
  }
  std::vector<std::uint32_t> passes(bool features) const override {
    std::vector<std::uint32_t> out = logits_->passes();
    const auto keep = [&out](const std::vector<std::uint32_t>& others) {
      std::erase_if(out,
                    [&](std::uint32_t pass) { return std::find(others.begin(), others.end(), pass) == others.end(); });
    };
    keep(cache_.recipe_passes());
    for (const auto& reader : features_)
      if (features) keep(reader->passes());
    if (features && attention_) keep(attention_->passes());
    return out;
  }
  std::vector<Recipe> recipes(GroupKey key) const override { return cache_.recipes(key); }
  std::optional<std::uint64_t> picture_hash(GroupKey key) const override { return cache_.picture_hash(key); }
  GroupTargets targets(GroupKey key, std::span<const std::uint8_t>) const override {
    thread_local TrackReader::Scratch scratch;
    const std::uint32_t group = plan().options().group;
    const auto is_there = [&](const auto& reader) { return reader && reader->has_pass(key.pass); };
    const auto read = [&](const auto& reader) {
      std::vector<float> out;
      if (!is_there(reader)) return out;
      if (topk_ && reader == logits_) {
        TopkGroup kept(reader->track(), group);
        reader->read_kept(key, scratch, kept.values, kept.indices, kept.tails);
        return kept.packed(tail_);
      }
      out.resize(reader->track().view_values() * group);
      reader->read(key, scratch, out);
      return out;
    };
    GroupTargets out{read(logits_), {}, read(attention_)};
    for (const auto& reader : features_) {
      at::Tensor& features = out.features.emplace_back();
      if (!is_there(reader)) continue;
      features = room_for(reader->track(), group);
      reader->read_in_own_basis(key, scratch, numbers(features));
    }
    return out;
  }

 private:
  std::unique_ptr<const TrackReader> open(const TargetOptions& options, const std::string& name) const {
    return std::make_unique<const TrackReader>(cache_, cache_.track(name, options.cache_teacher));
  }

  Cache cache_;
  std::unique_ptr<const TrackReader> logits_, attention_;
  std::vector<std::unique_ptr<const TrackReader>> features_;
  bool topk_ = false;
  std::size_t tail_ = 0;  // which of the tail's temperatures is the loss's
};

std::unique_ptr<TargetSource> unmapped_source(const TrainOptions& options, std::shared_ptr<const ImageIndex> index,
                                              const std::shared_ptr<BadPictures>& bad, const StopFlag& stop) {
  switch (options.targets.source) {
    case TargetKind::kNone:
      return std::make_unique<NoTargets>(options, std::move(index));
    case TargetKind::kTeacher:
      return std::make_unique<LiveTeacher>(options, std::move(index), bad, stop);
    case TargetKind::kCache:
      if (options.targets.cache.empty())
        fail("targets.cache is not given; expected the directory that vitrine-extract made");
      return std::make_unique<CachedTargets>(options.targets, *index, options.images, options.loss.temperature);
  }
  throw std::logic_error("an unknown kind of target source");
}

void describe(const MappedTargets& targets, const ViewMaker& views) {
  constexpr std::uint32_t kGroups = 4;
  const ClassMap& map = targets.map();
  note(text("class map: ", map.teacher_classes() - map.dropped(), " of the teacher's ", map.teacher_classes(),
            " classes are ", map.columns().size(), " of the student's ", map.student_classes()));
  if (map.dropped() > 0)
    note(text("class map: ", map.dropped(), " classes of the teacher have no counterpart; their ",
              100 * targets.dropped_probability(kGroups, views),
              " % of its probability (mean of the first groups) are left out, and the others' rescaled"));
  if (map.columns().size() < map.student_classes())
    note(text("class map: ", map.student_classes() - map.columns().size(),
              " classes of the student have no counterpart and take no part in the output term"));
}

}  // namespace

std::vector<std::string> feature_tracks(const std::string& features) {
  const std::vector<std::string> out = comma_separated(features);
  for (auto name = out.begin(); name != out.end(); ++name)
    if (std::find(out.begin(), name, *name) != name)
      fail("targets.features = \"", features, "\" names ", *name, " twice; name each track once");
  return out;
}

void check_same_images(const ImageIndex& expected, const ImageIndex& found, const std::string& expected_in,
                       const std::string& found_in) {
  const auto refuse = [&](const std::string& difference) {
    fail(expected_in, ": was made from other images than ", found_in, ": ", difference,
         "; use the folder that it was made from; where pictures are gone or damaged, bad_images = \"skip\" goes on ",
         "without them");
  };
  if (expected.classes.size() != found.classes.size())
    refuse(text("it has ", expected.classes.size(), " classes, the folder ", found.classes.size()));
  for (std::size_t c = 0; c < expected.classes.size(); ++c)
    if (expected.classes[c] != found.classes[c])
      refuse(text("its class ", c, " is ", expected.classes[c], ", the folder's is ", found.classes[c]));
  const auto further = [](const ImageIndex& index) {
    return std::ranges::count_if(index.images, lies_further, &ImageEntry::id);
  };
  if (const auto a = further(expected), b = further(found); a != b)
    refuse(text("it has ", a, " images in a further folder of images without labels (unlabelled), here there are ", b));
  if (expected.images.size() != found.images.size())
    refuse(text("it has ", expected.images.size(), " images, the folder ", found.images.size()));
  for (std::size_t i = 0; i < expected.images.size(); ++i) {
    const ImageEntry &a = expected.images[i], &b = found.images[i];
    if (a.id != b.id) refuse(text("its image ", i, " is ", a.id, ", the folder's is ", b.id));
    if (a.hash != b.hash || a.file_bytes != b.file_bytes) refuse(text("image ", a.id, " has other contents"));
  }
  if (expected.hash() != found.hash()) refuse("labels or sizes differ");
}

std::unique_ptr<TargetSource> make_target_source(const TrainOptions& options, std::shared_ptr<const ImageIndex> index,
                                                 std::shared_ptr<BadPictures> bad, const StopFlag& stop) {
  if (bad == nullptr)
    bad = std::make_shared<BadPictures>(options.bad_images, index->images.size(), options.max_bad_share);
  const ClassMapFiles files = options.targets.class_map_files();
  if (!files.given()) return unmapped_source(options, std::move(index), bad, stop);
  if (options.targets.source == TargetKind::kNone)
    fail("targets.class_map and targets.class_names map a teacher's classes, but targets.source = \"none\"");
  std::unique_ptr<TargetSource> source = unmapped_source(options, index, bad, stop);
  ClassMap map = read_class_map(files, static_cast<std::uint32_t>(source->shapes().classes), index->classes);
  auto mapped = std::make_unique<MappedTargets>(std::move(source), std::move(map));
  const ViewMaker views(options.folders(), index, mapped->plan().options().image_size, bad);
  describe(*mapped, views);
  return mapped;
}

}  // namespace vitrine
