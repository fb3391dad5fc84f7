// Judges the weights of a checkpoint: what `vitrine-train --evaluate` does.
#ifndef VITRINE_TRAIN_RUN_EVALUATE_CHECKPOINT_H_
#define VITRINE_TRAIN_RUN_EVALUATE_CHECKPOINT_H_

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "train/evaluation/report.h"
#include "train/run/options.h"

namespace vitrine {

/// Judges weights on options.test, or on options.validation when there is no test folder: the shorter side resized, the
/// centre cropped. `checkpoint`: a file of weights (final, best, or anything with the model's names), a
/// checkpoint-STEP.safetensors (the moving average where it has one), or a run's directory, of which best.safetensors
/// is judged where one was chosen, else final.safetensors, else the last checkpoint.
///
/// Model, size, preprocessing and class names are those that the file knows (weights_record.h). Options that say
/// otherwise: another model is an Error, another size, preprocessing or precision is used and said (note). `overrides`:
/// those of `options` that were asked for by name ("key=value"), which hold even where they are the defaults that
/// otherwise say nothing. A file that does not know them is judged as the options say, or with `configured` false,
/// where nobody chose these, refused. Labels are matched as Evaluation does it. When options.targets.teacher.weights
/// names a teacher, agreement with it is counted, on its own crops of the same images. With labels = "none" the folder
/// holds any images, and agreement is all that is told. Throws Error when anything does not fit, or nothing could be
/// told, and Stopped once `stop` is set.
Report evaluate_checkpoint(const TrainOptions& options, const std::filesystem::path& checkpoint, bool configured = true,
                           const std::vector<std::string>& overrides = {}, const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_EVALUATE_CHECKPOINT_H_
