// Names and paths of the files in a run's directory; train/run/README.md says what each file is. No other file spells
// them, but run_weights.h those of the weights.
#ifndef VITRINE_TRAIN_RUN_FILES_RUN_FILES_H_
#define VITRINE_TRAIN_RUN_FILES_RUN_FILES_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/base/run_weights.h"

namespace vitrine {

/// The layout of one run's directory. A value: holds the path, reads and writes nothing unless noted.
class RunFiles {
 public:
  explicit RunFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}

  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path config() const { return directory_ / "config.toml"; }
  std::filesystem::path metrics() const { return directory_ / "metrics.jsonl"; }
  std::filesystem::path metrics_table() const { return directory_ / "metrics.csv"; }
  std::filesystem::path mapping() const { return directory_ / "mapping.csv"; }
  std::filesystem::path summary() const { return directory_ / "summary.json"; }
  std::filesystem::path left_out() const;  ///< left_out.h
  std::filesystem::path report() const { return directory_ / "report.html"; }
  std::filesystem::path evaluation() const { return directory_ / "evaluation.json"; }
  std::filesystem::path events() const { return directory_ / "events"; }

  std::filesystem::path checkpoints() const { return directory_ / "checkpoints"; }
  std::filesystem::path last_checkpoint() const { return checkpoints() / "last.json"; }
  /// The name of a checkpoint's tensors in checkpoints(): "checkpoint-STEP.safetensors".
  static std::string tensors_name(std::uint64_t step);
  /// Whether `name` has that form, without a '/'.
  static bool is_tensors_name(const std::string& name);

  std::filesystem::path exported() const { return exported_folder(directory_); }
  std::filesystem::path last_weights() const { return last_weights_in(exported()); }
  std::filesystem::path best_weights() const { return best_weights_in(exported()); }

  /// Results of a run that ended after `steps` steps and was then extended.
  std::filesystem::path earlier_weights(std::uint64_t steps) const;
  std::filesystem::path earlier_summary(std::uint64_t steps) const;

  /// The names in the directory that belong to a run, sorted; other files and folders there are the user's. Empty for
  /// a missing directory. Reads the directory; throws Error if it cannot be listed.
  std::vector<std::string> present() const;
  /// Whether the directory holds a run in the layout of before checkpoints/ and exported/ (last.json and log.csv beside
  /// the weights).
  /// Reads the directory.
  bool has_former_layout() const;
  /// Creates the directory and its folders. Throws Error.
  void make() const;
  /// Removes temporary files that earlier processes left behind (files.h). Throws Error.
  void remove_abandoned_files() const;

 private:
  std::filesystem::path directory_;
};

/// Throws Error: the directory holds a run of an earlier version, whose layout is no longer read; `remedy`.
[[noreturn]] void fail_for_former_layout(const RunFiles& run, const std::string& remedy);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_FILES_RUN_FILES_H_
