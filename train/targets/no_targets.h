// Plain supervised training: views from a plan, and nothing to learn from beside their labels.
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
  /// A plan over `index` with settings.plan. Throws Error where these do not fit.
  NoTargets(const SourceSettings& settings, std::shared_ptr<const ImageIndex> index);

  const Plan& plan() const override { return plan_; }
  TargetShapes shapes() const override { return {}; }
  /// The first settings.targets.passes; where that is 0, as many as the run has epochs.
  std::vector<std::uint32_t> passes(bool features) const override;
  std::vector<Recipe> recipes(GroupKey key) const override { return plan_.group(key.pass, key.group); }
  std::optional<std::uint64_t> picture_hash(GroupKey) const override { return std::nullopt; }
  GroupTargets targets(GroupKey, std::span<const Recipe>, std::span<const std::uint8_t>) const override { return {}; }

 private:
  Plan plan_;
  std::uint32_t passes_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_NO_TARGETS_H_
