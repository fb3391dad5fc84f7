// What labels are to a run: which settings their absence rules out, and what it leaves to learn from.
#ifndef VITRINE_TRAIN_RUN_LABELS_H_
#define VITRINE_TRAIN_RUN_LABELS_H_

#include <cstddef>

#include "common/plan/image_index.h"
#include "train/run/options.h"

namespace vitrine {

/// Throws Error for settings that contradict each other about labels, of all or of some views. Reads nothing.
void check_labels(const TrainOptions& options);

/// The options as the run takes them: without labels no phase has a label term.
TrainOptions without_absent_labels(TrainOptions options);

/// Says what is learned without labels, if any are missing, and what then chooses the best checkpoint.
void describe_labels(const TrainOptions& options, const ImageIndex& index, std::size_t classes);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_LABELS_H_
