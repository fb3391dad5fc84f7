// All that a run needs to go on as if it had never stopped, in a directory: checkpoint-STEP.safetensors (weights,
// buffers, optimizer) and last.json, which names it by its SHA-256. The JSON is published after the tensors and old
// tensors are removed after it, so that at every moment last.json names a whole file.
#ifndef VITRINE_TRAIN_RUN_CHECKPOINT_H_
#define VITRINE_TRAIN_RUN_CHECKPOINT_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/eval/accuracy.h"
#include "common/models/weights/safetensors.h"
#include "train/data/batches.h"
#include "train/run/provenance.h"

namespace vitrine {

/// The weights in best.safetensors.
struct BestWeights {
  std::string chosen_by;    ///< "top1" or "agreement"
  double score = -1;        ///< of that, in [0, 1]; -1: nothing was judged yet
  std::uint64_t step = 0;   ///< steps done when they were judged
  std::uint64_t epoch = 0;  ///< from 1
  bool there() const { return score >= 0; }
};

/// The stream's position is the step: order, augmentation and noise are functions of it.
struct Checkpoint {
  std::uint64_t step = 0;  ///< steps done
  bool finished = false;   ///< the schedule is done, and final.safetensors and summary.json are written
  bool to_judge = false;   ///< the validation that is due after `step` has not been made yet
  BestWeights best;
  std::optional<Accuracy> validation;  ///< the last one
  std::optional<double> agreement;     ///< likewise
  std::string validation_images;       ///< ImageIndex::hash() of what `best` was chosen on; empty: not known
  double seconds = 0, core_seconds = 0;
  std::string settings;  ///< of the run, those that change its meaning (run_settings.h)
  std::string plan_hash;
  /// What it learnt from: the text of track.json by the track's name, of a cache's tracks or of those that the live
  /// teacher's would be. Older checkpoints do not say.
  std::map<std::string, std::string> tracks;
  std::optional<PassLists> passes;         ///< that its epochs use; older checkpoints do not say
  std::vector<AllowedDifference> allowed;  ///< met so far
  std::uint64_t other_pictures = 0;        ///< groups, likewise
  std::uint64_t left_out_views = 0;        ///< likewise
  std::vector<std::string> changes;        ///< that the user made on the way, with the step at which each was made
  std::string tensors_file, tensors_sha256;
};

/// Writes "model.NAME", "transformer.NAME", "optimizer.NAME" and so on, sets tensors_file and tensors_sha256, and
/// writes last.json. `metadata`: of the file of tensors (weights_record.h).
void save_checkpoint(const std::filesystem::path& directory, Checkpoint& checkpoint, const Tensors& tensors,
                     const std::map<std::string, std::string>& metadata);
/// Writes last.json alone, for the tensors that are there.
void update_checkpoint(const std::filesystem::path& directory, const Checkpoint& checkpoint);

/// last.json. Nothing when the directory holds none. Throws Error when it is damaged.
std::optional<Checkpoint> read_checkpoint(const std::filesystem::path& directory);
/// The tensors that it names. Throws Error when they are missing or damaged.
Tensors load_checkpoint_tensors(const std::filesystem::path& directory, const Checkpoint& checkpoint);

/// The weights to judge: the file itself, or of a run's directory best.safetensors where one was chosen, else
/// final.safetensors, else the last checkpoint. Throws Error when there is none.
std::filesystem::path weights_file(const std::filesystem::path& checkpoint);

/// The model's tensors in that file: the moving average where it has one. Throws Error when there are none.
Tensors checkpoint_weights(const std::filesystem::path& file);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_CHECKPOINT_H_
