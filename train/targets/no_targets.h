// Plain supervised training: views from a plan, without targets other than labels.
#ifndef VITRINE_TRAIN_TARGETS_NO_TARGETS_H_
#define VITRINE_TRAIN_TARGETS_NO_TARGETS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "train/targets/source.h"
#include "train/targets/target_options.h"

namespace vitrine {

class NoTargets : public TargetSource {
 public:
  /// Makes a plan over `index` with settings.plan. Throws Error as Plan does.
  NoTargets(const SourceSettings& settings, std::shared_ptr<const ImageIndex> index);

  const Plan& plan() const override { return plan_; }
  TargetShapes shapes() const override { return {}; }
  /// The first settings.targets.passes; if that is 0, one per epoch of the run.
  std::vector<std::uint32_t> passes(bool features) const override;
  bool new_pass_each_epoch() const override { return new_pass_each_epoch_; }
  std::vector<Recipe> recipes(GroupKey key) const override { return plan_.group(key.pass, key.group); }
  std::optional<std::uint64_t> picture_hash(GroupKey) const override { return std::nullopt; }
  GroupTargets targets(GroupKey, std::span<const Recipe>, std::span<const std::uint8_t>) const override { return {}; }

 private:
  Plan plan_;
  bool new_pass_each_epoch_;
  std::uint32_t passes_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_NO_TARGETS_H_
