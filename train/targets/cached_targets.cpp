#include "train/targets/cached_targets.h"

#include <torch/torch.h>

#include <algorithm>
#include <utility>

#include "common/base/error.h"
#include "train/targets/track_values.h"

namespace vitrine {
namespace {

const std::string& named(const std::string& cache) {
  if (cache.empty()) fail("targets.cache is not given; expected the directory that vitrine-extract made");
  return cache;
}

}  // namespace

CachedTargets::CachedTargets(const SourceSettings& settings, const ImageIndex& index)
    : cache_(named(settings.targets.cache)) {
  const TargetOptions& options = settings.targets;
  check_same_images(cache_.index(), index, options.cache, settings.folders.images.string());
  logits_ = open(options, "logits");
  for (const std::string& name : feature_tracks(options.features)) features_.push_back(open(options, name));
  if (!options.attention.empty()) attention_ = open(options, options.attention);
  topk_ = logits_->track().codec.encoding == Encoding::kTopk;
  if (topk_) tail_ = tail_at(logits_->track(), settings.temperature);
}

TargetShapes CachedTargets::shapes() const {
  const auto info = [](const auto& reader) { return reader ? &reader->track() : nullptr; };
  std::vector<const TrackInfo*> features;
  std::vector<std::shared_ptr<const FeatureBasis>> bases;
  for (const auto& reader : features_) {
    features.push_back(info(reader));
    bases.push_back(reader->basis());
  }
  return shapes_of(info(logits_), features, std::move(bases), info(attention_), topk_);
}

std::vector<TrackInfo> CachedTargets::tracks() const {
  std::vector<TrackInfo> out{logits_->track()};
  for (const auto& reader : features_) out.push_back(reader->track());
  if (attention_) out.push_back(attention_->track());
  return out;
}

std::vector<std::uint32_t> CachedTargets::passes(bool features) const {
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

GroupTargets CachedTargets::targets(GroupKey key, std::span<const Recipe>, std::span<const std::uint8_t>) const {
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

std::unique_ptr<const TrackReader> CachedTargets::open(const TargetOptions& options, const std::string& name) const {
  return std::make_unique<const TrackReader>(cache_, cache_.track(name, options.cache_teacher));
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
    return std::ranges::count_if(index.images, is_unlabelled, &ImageEntry::id);
  };
  if (const auto a = further(expected), b = further(found); a != b)
    refuse(text("it has ", a, " images in a further folder of images without labels (unlabelled), this run has ", b));
  if (expected.images.size() != found.images.size())
    refuse(text("it has ", expected.images.size(), " images, the folder ", found.images.size()));
  for (std::size_t i = 0; i < expected.images.size(); ++i) {
    const ImageEntry &a = expected.images[i], &b = found.images[i];
    if (a.id != b.id) refuse(text("its image ", i, " is ", a.id, ", the folder's is ", b.id));
    if (a.hash != b.hash || a.file_bytes != b.file_bytes) refuse(text("image ", a.id, " has other contents"));
  }
  if (expected.hash() != found.hash()) refuse("labels or sizes differ");
}

}  // namespace vitrine
