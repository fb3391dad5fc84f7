// The summary that a run prints before its first step.
#ifndef VITRINE_TRAIN_RUN_DESCRIBE_H_
#define VITRINE_TRAIN_RUN_DESCRIBE_H_

#include <cstdint>

#include "common/plan/image_index.h"
#include "common/plan/plan.h"
#include "train/data/batches.h"
#include "train/evaluation/evaluate.h"
#include "train/matching/objective.h"
#include "train/run/options.h"

namespace vitrine {

/// Prints the run's length, and how often it sees each view of its passes.
void describe_run(const TrainOptions& options, const Plan& plan, const PassLists& use, std::uint64_t steps);

/// Prints which stage is paired with which track (by default a consequence of the size), and for how much of the run
/// the feature term is off because passes lack maps. `size`: side of the student's pictures.
void describe_features(const TrainOptions& options, const Objective& objective, const Batches& batches,
                       const PassLists& use, int size);

/// Warns of evaluated images whose files are among the training images, byte for byte. `validation`, `test`: may be
/// null.
void describe_shared_images(const ImageIndex& training, const Evaluation* validation, const Evaluation* test);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_DESCRIBE_H_
