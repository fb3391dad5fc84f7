// The labels-alone baseline of a configuration: targets.source = "none" is the only key that changes.
#ifndef VITRINE_TRAIN_RUN_BASELINE_H_
#define VITRINE_TRAIN_RUN_BASELINE_H_

#include <string>
#include <vector>

#include "train/run/options.h"

namespace vitrine {

/// `options`; with targets.source = "none" without what needs a teacher: tracks, exits, a cache's class map, and phases
/// that have nothing to learn (no label term, or a frozen student). If targets.cache has a plan, the views are those of
/// that plan and its number of passes, and unless `options` say otherwise of the cache's decoding, so that both
/// students see the same pictures. Keys of [plan] that are not at their defaults are laid over the cache's plan.
/// Without a phase that learns from labels the phases stay, for checks.h to refuse. Throws Error for a damaged cache.
TrainOptions without_absent_targets(TrainOptions options);

/// Prints what `given` asks for that `used`, which without_absent_targets() made, leaves out, and whose views it has.
void describe_baseline(const TrainOptions& given, const TrainOptions& used);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_BASELINE_H_
