// The settings of a run as text: what a checkpoint remembers, so that a run goes on with what it began with.
#ifndef VITRINE_TRAIN_RUN_RUN_SETTINGS_H_
#define VITRINE_TRAIN_RUN_RUN_SETTINGS_H_

#include <string>
#include <vector>

#include "train/run/options.h"

namespace vitrine {

/// The options as the run takes them: without labels no phase has a label term, and micro_batch is a number.
TrainOptions as_run(TrainOptions options);

/// The settings of a run that change what it computes, one per line: "key = value" in TOML. Where files lie and how
/// much is written is left out, and so is the number of threads on a GPU, where it decides nothing; 0 threads stay 0,
/// so that a run goes on with another number of cores. Weights and class maps are named by their SHA-256, but for a
/// live teacher's, which its tracks name (provenance.h). Throws Error for a file that cannot be read.
std::string meaningful_settings(const TrainOptions& options);

struct SettingDifference {
  std::string key, before, now;  ///< values in TOML
};

/// How the settings of a checkpoint differ from those of a run, in the order of the keys. A key that the checkpoint
/// does not have (an older version wrote it) had its default. With options.extend, the phases' epochs may differ.
std::vector<SettingDifference> settings_differences(const std::string& before, const TrainOptions& now);

/// "loss.temperature = 2.0 (was 4.0), seed = 4 (was 3)".
std::string words_of(const std::vector<SettingDifference>& differences);

/// Whether the key is the length of a phase or of the schedule.
bool is_length(const std::string& key);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_RUN_SETTINGS_H_
