// The result of a run, and summary.json, which holds it.
#ifndef VITRINE_TRAIN_RUN_RUN_RESULT_H_
#define VITRINE_TRAIN_RUN_RUN_RESULT_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/eval/accuracy.h"
#include "train/run/checkpoint.h"
#include "train/run/provenance.h"

namespace vitrine {

/// The images of an evaluation.
struct EvaluatedImages {
  std::string folder;  ///< absolute, links followed
  std::string hash;    ///< ImageIndex::hash()
};

/// The result of a run. Its figures are of the weights that are used (weights_file(): the best ones, where validation
/// selected some, else the last).
struct TrainResult {
  std::uint64_t steps = 0;
  bool finished = false;  ///< false: stopped before the schedule's end or during the test; the same options resume it
  bool already_finished = false;  ///< the run was finished before; nothing was done
  bool of_best = false;           ///< the figures are of the best weights, and these are not the last ones
  std::optional<Accuracy> validation, test;
  std::optional<double> agreement;                     ///< on the validation images, when it is the criterion
  std::optional<Accuracy> last_validation, last_test;  ///< of the last weights, with of_best
  std::optional<double> last_agreement;                ///< likewise
  std::optional<EvaluatedImages> validation_images, test_images;  ///< absent in summaries of earlier versions
  BestWeights best;                                               ///< the best weights, if has_value()
  double wall_seconds = 0, core_seconds = 0, wait_share = 0;
  std::uint64_t images_seen = 0;
  std::uint64_t left_out_views = 0;                           ///< of images_seen: their pictures could not be read
  std::uint32_t size = 0;                                     ///< of the student's pictures
  std::vector<std::pair<std::string, std::uint32_t>> stages;  ///< the stage paired with each track (objective.h)
  std::optional<std::uint64_t> skipped_updates;               ///< by the gradient scaler, with fp16
  std::vector<AllowedDifference> allowed;                     ///< over the whole run, including earlier processes
  std::vector<std::string> changes;                           ///< likewise: changes of length or passes, with the step

  std::vector<std::string> remarks;  ///< with already_finished: what is now given and was not evaluated, in sentences

  /// On the test images, else on the validation images.
  const std::optional<Accuracy>& accuracy() const { return test ? test : validation; }
  const std::optional<Accuracy>& last_accuracy() const { return test ? last_test : last_validation; }
  /// Sets the figures on the validation images from the run's checkpoint, as `of_best` says.
  void take_scores(const Checkpoint& checkpoint);
};

/// `directory`: the run's.
void write_summary(const std::filesystem::path& directory, const TrainResult& result);
/// The result of a finished run, from its summary.json. Nothing where there is none. Throws Error when it is damaged.
std::optional<TrainResult> read_summary(const std::filesystem::path& directory);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_RUN_RESULT_H_
