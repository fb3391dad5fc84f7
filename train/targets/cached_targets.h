// Targets read from a cache that vitrine-extract made.
#ifndef VITRINE_TRAIN_TARGETS_CACHED_TARGETS_H_
#define VITRINE_TRAIN_TARGETS_CACHED_TARGETS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/cache/cache.h"
#include "train/targets/source.h"
#include "train/targets/target_options.h"

namespace vitrine {

class CachedTargets : public TargetSource {
 public:
  /// Opens settings.targets.cache, its logits and the tracks that settings.targets names. `index`: of the training
  /// images. Throws Error when no cache is named, a track is missing, the cache was made from other images, or a topk
  /// track does not have settings.temperature.
  CachedTargets(const SourceSettings& settings, const ImageIndex& index);

  const Plan& plan() const override { return cache_.plan(); }
  TargetShapes shapes() const override;
  std::vector<TrackInfo> tracks() const override;
  std::vector<std::uint32_t> passes(bool features) const override;
  std::vector<Recipe> recipes(GroupKey key) const override { return cache_.recipes(key); }
  std::optional<std::uint64_t> picture_hash(GroupKey key) const override { return cache_.picture_hash(key); }
  /// Reads from disk, without locks. Targets whose track lacks the pass are empty. Throws Error for a damaged shard.
  GroupTargets targets(GroupKey key, std::span<const Recipe> recipes,
                       std::span<const std::uint8_t> pictures) const override;

 private:
  std::unique_ptr<const TrackReader> open(const TargetOptions& options, const std::string& name) const;

  Cache cache_;
  std::unique_ptr<const TrackReader> logits_, attention_;
  std::vector<std::unique_ptr<const TrackReader>> features_;
  bool topk_ = false;
  std::size_t tail_ = 0;  // index of the loss's temperature among the tail's
};

/// Throws Error that names the first difference (classes, their order, images) when `found` differs from `expected`.
void check_same_images(const ImageIndex& expected, const ImageIndex& found, const std::string& expected_in,
                       const std::string& found_in);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_CACHED_TARGETS_H_
