// Consequences of missing labels for a run: which settings they rule out, and what remains to learn from.
#ifndef VITRINE_TRAIN_RUN_LABELS_H_
#define VITRINE_TRAIN_RUN_LABELS_H_

#include <cstddef>
#include <vector>

#include "common/cache/track.h"
#include "common/plan/image_index.h"
#include "train/run/options.h"

namespace vitrine {

/// Throws Error for settings that contradict each other about labels. Reads no files.
void check_labels(const TrainOptions& options);

/// `options`, with the label term of every phase switched off when there are no labels.
TrainOptions without_absent_labels(TrainOptions options);

/// If labels are missing, prints what is learned without them and how the best checkpoint is then selected.
/// `tracks`: of the targets.
void describe_labels(const TrainOptions& options, const ImageIndex& index, const std::vector<TrackInfo>& tracks,
                     std::size_t classes);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_LABELS_H_
