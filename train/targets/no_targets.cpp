#include "train/targets/no_targets.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace vitrine {

NoTargets::NoTargets(const SourceSettings& settings, std::shared_ptr<const ImageIndex> index)
    : plan_(std::move(index), settings.plan),
      new_pass_each_epoch_(settings.targets.passes == 0),
      passes_(new_pass_each_epoch_ ? static_cast<std::uint32_t>(std::ceil(std::max(1.0, settings.epochs)))
                                   : settings.targets.passes) {}

std::vector<std::uint32_t> NoTargets::passes(bool) const {
  std::vector<std::uint32_t> out(passes_);
  std::iota(out.begin(), out.end(), 0u);
  return out;
}

}  // namespace vitrine
