// Checks across rooms, each of which knows only its own options: whether schedule, targets, sizes and passes fit
// together. They run before the run writes anything.
#ifndef VITRINE_TRAIN_RUN_CHECKS_H_
#define VITRINE_TRAIN_RUN_CHECKS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/models/weights/safetensors.h"
#include "train/data/batches.h"
#include "train/optim/schedule.h"
#include "train/run/checkpoint.h"
#include "train/run/options.h"
#include "train/targets/source.h"

namespace vitrine {

/// Throws Error for a phase without terms from which something learns, or without a pass that has the targets it needs.
void check_phases(const TrainOptions& options, const TargetShapes& shapes, const PassLists& passes);

/// Throws Error when a BatchNorm would compute statistics of a single value, which torch reports with a backtrace.
/// `size`: side of the student's pictures.
void check_batch_norm(const TrainOptions& options, int size);

/// Throws Error for a ViT of another size than its pictures. `size`: their side.
void check_vit_size(const ModelOptions& model, int size);

/// Throws Error when one of the tensors has a value that is not finite. `steps`: done, the last of them in `phase`.
/// Synchronises with a GPU.
void check_finite(const Tensors& tensors, std::uint64_t steps, const PhaseOptions& phase);

/// The passes that the run's epochs use. A resumed run keeps those that it began with, since others would change the
/// order of its epochs; with options.new_passes it takes all, recorded in resumed->changes. Throws Error when it was
/// made on another plan, or its passes no longer exist.
PassLists choose_passes(const TrainOptions& options, const TargetSource& source, std::optional<Checkpoint>& resumed);

/// The elements of `a` that are not in `b`; both ascending.
std::vector<std::uint32_t> without(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b);
/// "0, 1, 2"; long lists are truncated.
std::string listed(const std::vector<std::uint32_t>& numbers);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_CHECKS_H_
