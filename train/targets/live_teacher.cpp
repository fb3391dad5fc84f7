#include "train/targets/live_teacher.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "common/base/error.h"
#include "common/base/local_ranks.h"
#include "common/codec/topk.h"
#include "common/codec/transform/transform_codec.h"
#include "common/image/views.h"
#include "common/teacher/calibrate.h"
#include "common/cache/left_out_views.h"
#include "train/targets/track_values.h"

namespace vitrine {

LiveTeacher::LiveTeacher(const SourceSettings& settings, std::shared_ptr<const ImageIndex> index,
                         const std::shared_ptr<BadPictures>& bad, const StopFlag& stop)
    : views_(settings, index),
      teacher_(settings.targets.teacher, settings.targets.taps),
      tracks_(teacher_.tracks(plan())),
      through_codec_(settings.targets.through_codec) {
  logits_ = find("logits", teacher_.classes() > 0 && settings.targets.taps.logits);
  embedding_ = find("embedding", settings.targets.embedding);
  for (const std::string& name : feature_tracks(settings.targets.features)) features_.push_back(find(name, true));
  attention_ = find(settings.targets.attention, !settings.targets.attention.empty());
  if (through_codec_) make_codecs(settings, index, bad, stop);
  topk_ =
      through_codec_ && logits_ >= 0 && tracks_[static_cast<std::size_t>(logits_)].codec.encoding == Encoding::kTopk;
  if (topk_) tail_ = tail_at(tracks_[static_cast<std::size_t>(logits_)], settings.temperature);
}

TargetShapes LiveTeacher::shapes() const {
  const auto info = [this](int track) { return track < 0 ? nullptr : &tracks_[static_cast<std::size_t>(track)]; };
  std::vector<const TrackInfo*> features;
  std::vector<std::shared_ptr<const FeatureBasis>> bases;
  for (const int track : features_) {
    features.push_back(info(track));
    bases.push_back(through_codec_ ? bases_[static_cast<std::size_t>(track)] : nullptr);
  }
  return shapes_of(info(logits_), features, std::move(bases), info(attention_), info(embedding_), topk_);
}

std::vector<TrackInfo> LiveTeacher::tracks() const {
  std::vector<int> used{logits_};
  used.insert(used.end(), features_.begin(), features_.end());
  used.insert(used.end(), {attention_, embedding_});
  std::vector<TrackInfo> out;
  for (const int track : used)
    if (track >= 0) out.push_back(tracks_[static_cast<std::size_t>(track)]);
  return out;
}

std::vector<std::string> LiveTeacher::class_names() const {
  return logits_ < 0 ? std::vector<std::string>() : teacher_.class_names();
}

GroupTargets LiveTeacher::targets(GroupKey, std::span<const Recipe> recipes,
                                  std::span<const std::uint8_t> pictures) const {
  const std::uint32_t views = plan().options().group;
  std::vector<std::vector<float>> values = teacher_.run(pictures, views);
  for (std::size_t t = 0; t < values.size(); ++t)
    blank_left_out(recipes, values[t], through_codec_ ? bases_[t].get() : nullptr);
  const auto take = [&](int track) {
    if (track < 0) return std::vector<float>{};
    const auto t = static_cast<std::size_t>(track);
    if (topk_ && track == logits_) return kept(values[t], views);
    if (through_codec_) vitrine::through_codec(*codecs_[t], views, values[t]);
    return std::move(values[t]);
  };
  GroupTargets out{take(logits_), {}, take(attention_), take(embedding_)};
  for (const int track : features_) {
    const auto t = static_cast<std::size_t>(track);
    out.features.push_back(room_for(tracks_[t], views));
    // With a basis, coefficients as read from a cache of the same track.
    if (through_codec_ && bases_[t]) {
      const auto& codec = dynamic_cast<const TransformCodec&>(*codecs_[t]);
      codec.decode_coefficients(codec.encode(values[t], views)[0].bytes, views, numbers(out.features.back()));
    } else {
      std::ranges::copy(take(track), numbers(out.features.back()).begin());
    }
  }
  return out;
}

// The index of the track; -1 if it is not wanted.
int LiveTeacher::find(const std::string& name, bool wanted) const {
  if (!wanted) return -1;
  std::string there;
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    if (tracks_[t].name() == name) return static_cast<int>(t);
    there += (t > 0 ? ", " : "") + tracks_[t].name();
  }
  fail("targets: the live teacher has no track ", name, " (it has ", there, "); ",
       name == "embedding" ? "set targets.taps.embedding = true" : "name its block in targets.taps");
}

// Computes the same bases as vitrine-extract.
void LiveTeacher::make_codecs(const SourceSettings& settings, const std::shared_ptr<const ImageIndex>& index,
                              const std::shared_ptr<BadPictures>& bad, const StopFlag& stop) {
  const ViewMaker maker(settings.folders, index, plan().options().image_size, bad);
  const std::uint32_t workers = settings.workers > 0 ? settings.workers : default_threads();
  ReadyTracks ready =
      make_ready(teacher_, maker, plan(), tracks_, std::vector<std::shared_ptr<const FeatureBasis>>(tracks_.size()),
                 settings.targets.taps.calibration_views, workers, stop);
  tracks_ = std::move(ready.tracks);
  codecs_ = std::move(ready.codecs);
  bases_ = std::move(ready.bases);
}

// Packed rows of the largest logits, as read from a cache.
std::vector<float> LiveTeacher::kept(std::span<const float> logits, std::uint32_t views) const {
  const auto t = static_cast<std::size_t>(logits_);
  const std::vector<Array> arrays = codecs_[t]->encode(logits, views);
  const std::vector<std::span<const std::byte>> bytes{arrays[0].bytes, arrays[1].bytes, arrays[2].bytes};
  TopkGroup group(tracks_[t], views);
  dynamic_cast<const TopkCodec&>(*codecs_[t]).decode_kept(bytes, views, group.values, group.indices, group.tails);
  return group.packed(tail_);
}

}  // namespace vitrine
