// What the rooms below cannot see to be wrong, since each knows its own options alone: whether schedule, targets, sizes
// and passes fit together. All is refused before a run writes anything.
#ifndef VITRINE_TRAIN_RUN_CHECKS_H_
#define VITRINE_TRAIN_RUN_CHECKS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/data/batches.h"
#include "train/run/checkpoint.h"
#include "train/run/options.h"
#include "train/targets/source.h"

namespace vitrine {

/// Throws Error for a phase that has nothing to learn from, or no pass to learn it on.
void check_phases(const TrainOptions& options, const TargetShapes& shapes, const PassLists& passes);

/// Throws Error when a BatchNorm would take statistics of a single value, which torch would say in a backtrace. `size`:
/// side of the student's pictures.
void check_batch_norm(const TrainOptions& options, int size);

/// The passes that the run's epochs use. One that goes on (`resumed`) keeps those that it began with, since others
/// would give its epochs another order, unless options.new_passes, which then stands in resumed->changes. Throws Error
/// when it was made on another plan, or its passes are gone.
PassLists choose_passes(const TrainOptions& options, const TargetSource& source, std::optional<Checkpoint>& resumed);

/// Those of `a` that `b` lacks; both ascend.
std::vector<std::uint32_t> without(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b);
/// "0, 1, 2", of long lists the first.
std::string listed(const std::vector<std::uint32_t>& numbers);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_CHECKS_H_
