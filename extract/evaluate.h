// Teachers on clean crops of labelled images, before anything is cached: `vitrine-extract --evaluate CONFIG...`.
#ifndef VITRINE_EXTRACT_EVALUATE_H_
#define VITRINE_EXTRACT_EVALUATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "common/image/left_out.h"
#include "extract/options.h"

namespace vitrine {

struct TeacherEvaluation {
  std::string name;
  std::string without_top1;  ///< why it has none: "it has no head"; then no figure below counts. Empty: it has
  std::uint64_t images = 0;
  double top1 = 0, top5 = 0;     ///< in [0, 1]
  double confidence = 0;         ///< mean of the largest probability
  double calibration_error = 0;  ///< expected calibration error (common/eval/metrics.h)
  double core_milliseconds = 0;  ///< per image: processor time of forward and picture
  /// With each teacher, itself included: share of the images of both (class maps leave others out) that have the same
  /// top-1 class; nullopt without such images.
  std::vector<std::optional<double>> agreement;
  /// Files drawn that are not readable images, by kind; the same for each teacher.
  std::vector<LeftOut> left_out;
  std::vector<std::string> notes;  ///< what the figures give reason to doubt: check_teacher()'s, its refusal last
};

/// Evaluates each configuration's teacher on `count` labelled images of the first one's folder, drawn by its plan.seed
/// (0: its check_images; all, if there are fewer): one after the other, with its own preprocessing and class map. With
/// `judge` it looks for the cause of a low top-1 too, which takes as long again for each usual mean and std. Throws
/// Error for configurations of different folders, images without labels, a teacher with other classes that no map
/// names, and where none has a head; Stopped once `stop` is set.
std::vector<TeacherEvaluation> evaluate_teachers(const std::vector<ExtractOptions>& configurations, std::uint32_t count,
                                                 const StopFlag& stop, bool judge = false);

/// As a table for people, and as JSON for programs.
std::string as_table(const std::vector<TeacherEvaluation>& scores);
std::string as_json(const std::vector<TeacherEvaluation>& scores);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_EVALUATE_H_
