// left_out.tsv of a run: the training, validation and test images that are left out, sorted by path.
#ifndef VITRINE_TRAIN_RUN_LEFT_OUT_LIST_H_
#define VITRINE_TRAIN_RUN_LEFT_OUT_LIST_H_

#include <filesystem>

#include "common/image/folders.h"
#include "train/data/training_images.h"
#include "train/evaluation/evaluate.h"

namespace vitrine {

/// Writes the list in `output` when a run begins; a resumed run extends its list. From then on each training picture
/// that fails is reported and added. `validation`, `test`: may be null.
void keep_left_out(const TrainingImages& images, const ImageFolders& folders, const std::filesystem::path& output,
                   bool resumed, const Evaluation* validation, const Evaluation* test);

/// Adds images that could not be read since, and prints their number when it has grown.
void add_left_out_of(const Evaluation& images, const std::filesystem::path& output);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_LEFT_OUT_LIST_H_
