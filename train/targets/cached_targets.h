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
  /// Opens settings.targets.cache, its logits and the tracks that settings.targets names. A teacher without logits
  /// contributes its other tracks. `index`: of the training images. Throws Error when no cache is named, a track is
  /// missing, the cache was made from other images, teachers have different numbers of classes, or a topk track does
  /// not have settings.temperature or is one of several teachers'.
  CachedTargets(const SourceSettings& settings, const ImageIndex& index);

  const Plan& plan() const override { return cache_.plan(); }
  TargetShapes shapes() const override;
  std::vector<TrackInfo> tracks() const override;
  /// As the cache records them. Throws Error for several teachers whose classes differ.
  std::vector<std::string> class_names() const override;
  std::vector<std::uint32_t> passes(bool features) const override;
  std::vector<Recipe> recipes(GroupKey key) const override { return cache_.recipes(key); }
  std::optional<std::uint64_t> picture_hash(GroupKey key) const override { return cache_.picture_hash(key); }
  /// Reads from disk, without locks. Targets whose track lacks the pass are empty. Throws Error for a damaged shard.
  GroupTargets targets(GroupKey key, std::span<const Recipe> recipes,
                       std::span<const std::uint8_t> pictures) const override;

 private:
  using Reader = std::unique_ptr<const TrackReader>;

  void open_logits(const SourceSettings& settings);
  /// `name`: a track, or TEACHER/TRACK; without TEACHER the only teacher named, or the only one that has the track.
  Reader open(const std::string& name) const;
  /// All of the group's values; empty if the pass is not there.
  std::vector<float> read(const Reader& reader, GroupKey key) const;
  std::vector<float> read_topk(GroupKey key) const;
  std::vector<float> read_logits(GroupKey key) const;

  Cache cache_;
  std::vector<std::string> teachers_;
  std::vector<double> shares_;  // of each teacher with logits, summing to 1
  double temperature_;
  std::vector<Reader> logits_;  // one per teacher that has them
  Reader attention_, embedding_;
  std::vector<Reader> features_;
  bool topk_ = false;
  std::size_t tail_ = 0;  // index of the loss's temperature among the tail's
};

/// Logits whose softmax at `temperature` is the weighted mean of the teachers', per row of `classes` values:
/// temperature · log Σ_t shares[t] · softmax(logits[t] / temperature). `shares` sum to 1; vectors have equal length.
std::vector<float> mean_of_teachers(const std::vector<std::vector<float>>& logits, std::span<const double> shares,
                                    std::size_t classes, double temperature);

/// Throws Error that names the first difference (classes, their order, images) when `found` differs from `expected`.
void check_same_images(const ImageIndex& expected, const ImageIndex& found, const std::string& expected_in,
                       const std::string& found_in);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_CACHED_TARGETS_H_
