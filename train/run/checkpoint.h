// All that a run needs to resume as if it had never stopped, in its folder checkpoints (run_files.h):
// checkpoint-STEP.safetensors (weights, buffers, optimizer) and last.json, which has its name and SHA-256. The JSON is
// published after the tensors, and old tensors are removed after that, so that last.json always names a complete file.
// `directory` is the run's directory throughout.
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

/// The weights in exported/best.safetensors.
struct BestWeights {
  std::string chosen_by;                  ///< "top1" or "agreement"
  double score = -1;                      ///< of that criterion, in [0, 1]; -1: no validation yet
  std::uint64_t step = 0;                 ///< steps done when they were validated
  std::uint64_t epoch = 0;                ///< from 1
  std::optional<Accuracy> accuracy = {};  ///< with top-1 as criterion; absent in older checkpoints
  bool has_value() const { return score >= 0; }
};

/// The data stream needs no state but the step: order, augmentation and noise are functions of it.
struct Checkpoint {
  std::uint64_t step = 0;       ///< steps done
  bool finished = false;        ///< the schedule is done, and exported/last.safetensors and summary.json are written
  bool validation_due = false;  ///< the validation due after `step` is still to be made
  BestWeights best;
  std::optional<Accuracy> validation;  ///< the last one
  std::optional<double> agreement;     ///< likewise
  std::string validation_images;       ///< ImageIndex::hash() of the images that `best` was selected on; empty: unknown
  double seconds = 0, core_seconds = 0;
  std::string settings;  ///< meaningful_settings() of the run (run_settings.h)
  std::string plan_hash;
  /// The text of track.json by track name, of the cache's tracks or of those that a cache of the live teacher would
  /// have. Empty in older checkpoints.
  std::map<std::string, std::string> tracks;
  /// TargetSource::matched_names() of those; absent in older checkpoints.
  std::optional<std::vector<std::string>> class_names;
  std::optional<PassLists> passes;         ///< used by its epochs; absent in older checkpoints
  std::vector<AllowedDifference> allowed;  ///< so far
  std::uint64_t other_pictures = 0;        ///< groups so far
  std::uint64_t left_out_views = 0;        ///< so far
  std::vector<std::string> changes;        ///< made by the user during the run, each with its step
  std::string tensors_file, tensors_sha256;
};

/// Writes the tensors ("model.NAME", "optimizer.NAME" and so on) with `metadata` (weights_record.h), sets tensors_file
/// and tensors_sha256, and writes last.json.
void save_checkpoint(const std::filesystem::path& directory, Checkpoint& checkpoint, const Tensors& tensors,
                     const std::map<std::string, std::string>& metadata);
/// Rewrites last.json only, for the same tensors.
void update_checkpoint(const std::filesystem::path& directory, const Checkpoint& checkpoint);

/// Reads last.json; nothing when there is none. Throws Error when it is damaged.
std::optional<Checkpoint> read_checkpoint(const std::filesystem::path& directory);
/// Loads the tensors that it names. Throws Error when they are missing or damaged.
Tensors load_checkpoint_tensors(const std::filesystem::path& directory, const Checkpoint& checkpoint);

/// The file of weights to evaluate: `checkpoint` itself if it is a file; of a run's directory or its folder of weights
/// weights_of_run() (run_weights.h); else, of a run's directory, the last checkpoint. Throws Error when there is none.
std::filesystem::path weights_file(const std::filesystem::path& checkpoint);

/// The entry of an archive (.pth, TorchScript) that has a record: JSON, WeightsRecord::metadata() as one object.
inline constexpr const char* kRecordEntry = "vitrine-student.json";

/// Whether a file is one of torch.save, by its first bytes. Throws Error if it cannot be read.
bool is_torch_file(const std::filesystem::path& file);
/// The metadata of a file of weights: of safetensors, or the record that vitrine-export puts into a .pth; empty if it
/// has none. Throws Error for a damaged file.
std::map<std::string, std::string> weights_metadata(const std::filesystem::path& file);
/// The model's tensors in that file, averaged ones if it has them; of a file of torch.save what read_weights() gives.
/// Throws Error for a file of another kind.
Tensors checkpoint_weights(const std::filesystem::path& file);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_CHECKPOINT_H_
