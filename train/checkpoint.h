// All that a run needs to go on as if it had never stopped, in a directory: checkpoint-STEP.safetensors (weights,
// buffers, optimizer) and last.json, which names it by its SHA-256. The JSON is published after the tensors and old
// tensors are removed after it, so that at every moment last.json names a whole file.
#ifndef VITRINE_TRAIN_CHECKPOINT_H_
#define VITRINE_TRAIN_CHECKPOINT_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/models/safetensors.h"
#include "train/provenance.h"

namespace vitrine {

/// The stream's position is the step: order, augmentation and noise are functions of it.
struct Checkpoint {
  std::uint64_t step = 0;  ///< steps done
  double best_score = -1;  ///< of validation (top-1 or agreement); -1: not judged yet
  double seconds = 0, core_seconds = 0;
  std::string settings;  ///< of the run, those that change its meaning
  std::string plan_hash;
  /// What it learnt from: the text of track.json by the track's name, of a cache's tracks or of those that the live
  /// teacher's would be. Older checkpoints do not say.
  std::map<std::string, std::string> tracks;
  std::vector<AllowedDifference> allowed;  ///< met so far
  std::uint64_t other_pictures = 0;        ///< groups, likewise
  Tensors tensors;                         ///< "model.NAME", "transformer.NAME", "optimizer.NAME"
};

void save_checkpoint(const std::filesystem::path& directory, const Checkpoint& checkpoint);
/// Nothing when the directory holds none. Throws Error when it is damaged.
std::optional<Checkpoint> load_checkpoint(const std::filesystem::path& directory);

/// Throws Error that names the first setting in which a run differs from the checkpoint that it resumes.
void check_same_settings(const std::string& before, const std::string& now, const std::filesystem::path& directory);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_CHECKPOINT_H_
