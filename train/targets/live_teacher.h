// Targets computed by the teacher during training, on the same views: the reference that a cache is compared with.
#ifndef VITRINE_TRAIN_TARGETS_LIVE_TEACHER_H_
#define VITRINE_TRAIN_TARGETS_LIVE_TEACHER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "common/cache/track.h"
#include "common/codec/codec.h"
#include "common/codec/transform/basis.h"
#include "common/image/bad_pictures.h"
#include "common/teacher/teacher.h"
#include "train/targets/no_targets.h"
#include "train/targets/source.h"
#include "train/targets/target_options.h"

namespace vitrine {

class LiveTeacher : public TargetSource {
 public:
  /// Loads the teacher and, with targets.through_codec, calibrates its tracks as vitrine-extract would; unreadable
  /// pictures are added to `bad`. Throws Error for a track that the teacher does not have, and Stopped when `stop` is
  /// set during calibration.
  LiveTeacher(const SourceSettings& settings, std::shared_ptr<const ImageIndex> index,
              const std::shared_ptr<BadPictures>& bad, const StopFlag& stop);

  const Plan& plan() const override { return views_.plan(); }
  TargetShapes shapes() const override;
  std::vector<TrackInfo> tracks() const override;
  std::vector<std::uint32_t> passes(bool features) const override { return views_.passes(features); }
  std::vector<std::string> class_names() const override;
  bool new_pass_each_epoch() const override { return views_.new_pass_each_epoch(); }
  std::vector<Recipe> recipes(GroupKey key) const override { return views_.recipes(key); }
  std::optional<std::uint64_t> picture_hash(GroupKey) const override { return std::nullopt; }
  bool needs_pictures() const override { return true; }
  /// Runs the teacher; on a GPU one call at a time. With through_codec, bit-equal to reading the same track from a
  /// cache.
  GroupTargets targets(GroupKey key, std::span<const Recipe> recipes,
                       std::span<const std::uint8_t> pictures) const override;

  const Teacher& teacher() const { return teacher_; }

 private:
  int find(const std::string& name, bool wanted) const;
  void make_codecs(const SourceSettings& settings, const std::shared_ptr<const ImageIndex>& index,
                   const std::shared_ptr<BadPictures>& bad, const StopFlag& stop);
  std::vector<float> kept(std::span<const float> logits, std::uint32_t views) const;

  NoTargets views_;
  Teacher teacher_;
  std::vector<TrackInfo> tracks_;
  std::vector<std::unique_ptr<const Codec>> codecs_;        // with through_codec_: one per track
  std::vector<std::shared_ptr<const FeatureBasis>> bases_;  // likewise; null for encodings without a basis
  bool through_codec_, topk_ = false;
  std::size_t tail_ = 0;  // index of the loss's temperature among the tail's
  int logits_ = -1, attention_ = -1, embedding_ = -1;
  std::vector<int> features_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_LIVE_TEACHER_H_
