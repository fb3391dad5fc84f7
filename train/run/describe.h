// What a run prints before its first step, and a dry run instead of it.
#ifndef VITRINE_TRAIN_RUN_DESCRIBE_H_
#define VITRINE_TRAIN_RUN_DESCRIBE_H_

#include <cstdint>
#include <vector>

#include "common/cache/track.h"
#include "common/plan/image_index.h"
#include "common/plan/plan.h"
#include "train/data/batches.h"
#include "train/evaluation/evaluate.h"
#include "train/matching/objective.h"
#include "train/optim/schedule.h"
#include "train/run/evaluator.h"
#include "train/run/options.h"
#include "train/targets/source.h"

namespace vitrine {

/// Prints the run's length, and how often it sees each view of its passes, with a warning where that is too often.
void describe_run(const TrainOptions& options, const Plan& plan, const PassLists& use, std::uint64_t steps);

/// Prints which stage is paired with which track, by the size or by the depth of blocks, and for how much of the run
/// the feature term is off because passes lack maps. `size`: side of the student's pictures.
void describe_features(const TrainOptions& options, const Objective& objective, const Batches& batches,
                       const PassLists& use, int size);

/// Warns of evaluated images whose files are among the training images, byte for byte. `validation`, `test`: may be
/// null.
void describe_shared_images(const ImageIndex& training, const Evaluation* validation, const Evaluation* test);

/// Names classes of the student that have no validation or no test image: the accuracy there says nothing about them.
/// `validation`, `test`: may be null.
void describe_missing_classes(const Evaluation* validation, const Evaluation* test);

/// For a dry run. Prints the images, the tracks, each phase in steps with its learning rate and the terms that it
/// learns from, and what is validated and tested. `bounds`: of the phases.
void describe_plan(const TrainOptions& options, const ImageIndex& index, const TargetSource& source,
                   const PhaseBounds& bounds, const Evaluator& evaluator);

/// For a dry run. Prints an estimate of the memory: weights, gradients, optimizer and averages, which are exact, and
/// the groups in work; without the activations of a step, which depend on the model. `size`: side of
/// the student's pictures.
void describe_memory(const TrainOptions& options, const torch::nn::Module& student, const Objective& objective,
                     const TargetSource& source, int size);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_DESCRIBE_H_
