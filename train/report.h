// What a checkpoint is worth, for people and for programs: `vitrine-train --evaluate`.
#ifndef VITRINE_TRAIN_REPORT_H_
#define VITRINE_TRAIN_REPORT_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/eval/judgement.h"
#include "common/image/left_out.h"
#include "common/models/safetensors.h"
#include "train/options.h"

namespace vitrine {

struct Report {
  std::string checkpoint, folder;  ///< paths, as given
  std::uint64_t images = 0;              ///< judged: those of the folder that can be read
  std::vector<LeftOut> left_out = {};    ///< of the folder, by their paths
  std::vector<std::string> classes;    ///< names; none without labels
  std::optional<Judgement> judgement;  ///< what labels are needed for; none with labels = "none"
  std::optional<double> agreement;     ///< with the teacher, where there is one: a share in [0, 1]
};

/// Judges the checkpoint on options.test, or on options.validation when there is no test folder: the shorter side
/// resized, the centre cropped. options.model must be of the checkpoint's kind; its classes are the folder's. When
/// options.targets.teacher.weights names a teacher, agreement with it is counted, on its own crops of the same images.
/// With labels = "none" the folder holds any images, and agreement is all that is told. Throws Error when anything does
/// not fit, or nothing could be told.
Report evaluate_checkpoint(const TrainOptions& options, const std::filesystem::path& checkpoint);

/// The model's tensors in a checkpoint: a file of weights (final, best, or anything with the model's names), a
/// checkpoint-STEP.safetensors (the moving average where it has one), or a run's directory, where final.safetensors
/// comes before the last checkpoint. Throws Error when there is none.
Tensors checkpoint_weights(const std::filesystem::path& checkpoint);

/// A table of classes, then the sums.
std::string as_text(const Report& report);
std::string as_json(const Report& report);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_REPORT_H_
