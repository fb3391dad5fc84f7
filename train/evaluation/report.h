// What a checkpoint is worth, for people and for programs: `vitrine-train --evaluate`.
#ifndef VITRINE_TRAIN_EVALUATION_REPORT_H_
#define VITRINE_TRAIN_EVALUATION_REPORT_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "common/eval/judgement.h"
#include "common/image/left_out.h"
#include "common/models/safetensors.h"
#include "train/run/options.h"

namespace vitrine {

struct Report {
  std::string checkpoint, folder;      ///< the file that was judged, and the folder of images
  std::string about;                   ///< what is known of the file's weights, in words; may be empty
  std::uint64_t images = 0;            ///< judged: those of the folder that can be read
  std::vector<LeftOut> left_out = {};  ///< of the folder, by their paths
  std::vector<std::string> classes;    ///< names, in the order of the model's outputs; none without labels
  std::optional<Judgement> judgement;  ///< what labels are needed for; none with labels = "none"
  std::optional<double> agreement;     ///< with the teacher, where there is one: a share in [0, 1]
};

/// Judges weights on options.test, or on options.validation when there is no test folder: the shorter side resized, the
/// centre cropped. `checkpoint`: a file of weights (final, best, or anything with the model's names), a
/// checkpoint-STEP.safetensors (the moving average where it has one), or a run's directory, of which best.safetensors
/// is judged where one was chosen, else final.safetensors, else the last checkpoint.
///
/// Model, size, preprocessing and class names are those that the file knows (weights_record.h). Options that say
/// otherwise: another model is an Error, another size or preprocessing is used and said (note). A file that does not
/// know them is judged as the options say, or with `configured` false, where nobody chose these, refused. Labels are
/// matched as Evaluation does it. When options.targets.teacher.weights names a teacher, agreement with it is counted,
/// on its own crops of the same images. With labels = "none" the folder holds any images, and agreement is all that is
/// told. Throws Error when anything does not fit, or nothing could be told, and Stopped once `stop` is set.
Report evaluate_checkpoint(const TrainOptions& options, const std::filesystem::path& checkpoint, bool configured = true,
                           const StopFlag& stop = never_stop());

/// The file of a run's directory, or the file itself, as above. Throws Error when there is none.
std::filesystem::path weights_file(const std::filesystem::path& checkpoint);

/// The model's tensors in that file. Throws Error when there are none.
Tensors checkpoint_weights(const std::filesystem::path& file);

/// A table of classes, then the sums.
std::string as_text(const Report& report);
std::string as_json(const Report& report);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_EVALUATION_REPORT_H_
