// The settings of a run as text, as stored in its checkpoint, so that a resumed run uses those that it began with.
#ifndef VITRINE_TRAIN_RUN_RUN_SETTINGS_H_
#define VITRINE_TRAIN_RUN_RUN_SETTINGS_H_

#include <string>
#include <vector>

#include "train/run/options.h"

namespace vitrine {

/// The options as the run uses them: no label terms without labels, nothing that needs a teacher without one, and
/// micro_batch resolved. May read the plan of a cache (baseline.h).
TrainOptions as_run(TrainOptions options);

/// The settings that affect what a run computes, one "key = value" in TOML per line. Excludes paths and logging
/// options, and on a GPU the number of threads, which has no effect there. threads = 0 stays 0, so that a run can
/// resume with another number of cores. Weights and class maps are given by their SHA-256, except a live teacher's
/// weights, which its tracks record, and a cache's teacher, which is only compared with the cache's (provenance.h).
/// `recorded`: of the run's checkpoint, empty for a new run; a file that is gone counts as the one that it records, as
/// a resumed run may do without. Throws Error for another file that cannot be read.
std::string meaningful_settings(const TrainOptions& options, const std::string& recorded = {});

struct SettingDifference {
  std::string key, before, now;  ///< values in TOML
};

/// The differences between the settings of a checkpoint and of a run, in the order of the keys. A key missing from the
/// checkpoint (written by an older version) counts as its default. With options.extend, the phases' epochs may differ.
std::vector<SettingDifference> settings_differences(const std::string& before, const TrainOptions& now);

/// "loss.temperature = 2.0 (was 4.0), seed = 4 (was 3)".
std::string words_of(const std::vector<SettingDifference>& differences);

/// Whether the key is the length of a phase or of the schedule.
bool is_length(const std::string& key);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_RUN_SETTINGS_H_
