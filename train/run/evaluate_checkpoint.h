// Evaluates the weights of a checkpoint, for `vitrine-train --evaluate`.
#ifndef VITRINE_TRAIN_RUN_EVALUATE_CHECKPOINT_H_
#define VITRINE_TRAIN_RUN_EVALUATE_CHECKPOINT_H_

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "train/evaluation/report.h"
#include "train/run/options.h"

namespace vitrine {

/// Evaluates weights on options.test, or on options.validation when there is no test folder: the shorter side resized,
/// the centre cropped. `checkpoint`: a file of weights (final, best, or any with the model's names), a
/// checkpoint-STEP.safetensors (the moving average if it has one), or a run's directory, of which weights_file()
/// (checkpoint.h) picks the file.
///
/// Model, size, preprocessing and class names come from the file's record (weights_record.h). Options that differ from
/// it: another model is an Error; another size, preprocessing or precision is used, with a note. Options at their
/// defaults do not count as different, except those in `overrides` ("key=value", given explicitly). A file without a
/// record is evaluated with `options`, or refused if `configured` is false (no configuration was given). Labels are
/// matched as by Evaluation. When options.targets.teacher.weights names a teacher, the report has the agreement with
/// it, on its own crops of the same images; what its options leave empty is as in its cache (evaluation_teacher()).
/// With labels = "none" the folder holds any images and the report has agreement only. Throws Error when anything does
/// not fit or there is nothing to report, and Stopped once `stop` is set.
Report evaluate_checkpoint(const TrainOptions& options, const std::filesystem::path& checkpoint, bool configured = true,
                           const std::vector<std::string>& overrides = {}, const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_EVALUATE_CHECKPOINT_H_
