// left_out.tsv of a run: which images, of training, validation and test, are left out, by their paths.
#ifndef VITRINE_TRAIN_RUN_LEFT_OUT_LIST_H_
#define VITRINE_TRAIN_RUN_LEFT_OUT_LIST_H_

#include <filesystem>

#include "common/image/folders.h"
#include "train/data/training_images.h"
#include "train/evaluation/evaluate.h"

namespace vitrine {

/// Writes the list in `output` as a run begins; one that goes on (`resumed`) keeps what it had. Each training picture
/// that fails from here on is told and added as it is met. `validation`, `test`: null where there are none.
void keep_left_out(const TrainingImages& images, const ImageFolders& folders, const std::filesystem::path& output,
                   bool resumed, const Evaluation* validation, const Evaluation* test);

/// Adds images that could not be read since, and tells their number when it has grown.
void add_left_out_of(const Evaluation& images, const std::filesystem::path& output);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_LEFT_OUT_LIST_H_
