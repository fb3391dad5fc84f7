// Evaluates a run's student image by image, for evaluation.json.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_EVALUATE_EVALUATE_RUN_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_EVALUATE_EVALUATE_RUN_H_

#include <filesystem>

#include "common/base/stop.h"
#include "tools/commands/report/command.h"
#include "tools/commands/report/run_evaluation.h"

namespace vitrine {

/// Runs the student (the weights that read_student() in train/run/stored_student.h picks, with their own preprocessing)
/// on request.images, or the test, else the validation images of the run's config.toml: accuracy in total and by class,
/// and the pictures with the largest loss. The loss is the cross entropy with the label; without labels the
/// Kullback-Leibler divergence from the teacher, so one is needed then.
///
/// With a teacher (targets.teacher.weights or module, if the file is there; a missing one is noted) also agreement, the
/// teacher's answers and its attention: the last block's, the mean over heads. A student that is a ResNet gets Grad-CAM
/// for the class that it answers. Writes nothing. Throws Error for images and weights that do not fit, and Stopped.
RunEvaluation evaluate_run(const std::filesystem::path& run, const EvaluateRequest& request,
                           const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_EVALUATE_EVALUATE_RUN_H_
