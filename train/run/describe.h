// What a run says of itself before its first step.
#ifndef VITRINE_TRAIN_RUN_DESCRIBE_H_
#define VITRINE_TRAIN_RUN_DESCRIBE_H_

#include <cstdint>

#include "common/plan/plan.h"
#include "train/data/batches.h"
#include "train/matching/objective.h"
#include "train/run/options.h"

namespace vitrine {

/// How long it is, and how often it sees each view of the passes that it uses.
void describe_run(const TrainOptions& options, const Plan& plan, const PassLists& use, std::uint64_t steps);

/// Which stage meets which track, which follows from the size where nothing else is said; and for how much of the run
/// the feature term is off, since passes lack maps. `size`: side of the student's pictures.
void describe_features(const TrainOptions& options, const Objective& objective, const Batches& batches,
                       const PassLists& use, int size);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_DESCRIBE_H_
