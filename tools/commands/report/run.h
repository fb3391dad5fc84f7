// All that a page shows of one run, read from its directory. Only metrics.jsonl and summary.json make a directory a
// run; what else is missing, damaged or of another version is left out, with a sentence that says so.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_RUN_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_RUN_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/commands/report/cache_facts.h"
#include "tools/commands/report/configuration.h"
#include "tools/commands/report/run_evaluation.h"
#include "tools/commands/report/metrics.h"

namespace vitrine {

/// Where evaluated images are, and what they are; empty: not recorded.
struct ImagesRecord {
  std::string folder, hash;
};

/// Of summary.json, which a finished run has.
struct RunSummary {
  std::optional<std::uint64_t> steps, images_seen, evaluated_images, best_step, best_epoch, size;
  std::optional<double> wall_seconds, core_seconds, wait_share;
  std::string evaluated_on;  ///< "test", "validation", or empty
  ImagesRecord test_images, validation_images;
  std::string weights;                         ///< that top1 and top5 are of: "best" or "last"
  std::optional<double> last_top1, last_top5;  ///< of the last weights, where top1 and top5 are of the best
  std::optional<double> top1, top5, validation_top1, validation_agreement, best_score;  ///< in [0, 1]
  std::string best_chosen_by;                               ///< "top1", "agreement", or empty
  std::vector<std::pair<std::string, std::string>> stages;  ///< track, student's stage
  std::vector<std::string> remarks;                         ///< differences allowed, changes of the run
};

struct Run {
  std::filesystem::path directory;
  std::string name;  ///< short, different from those of the other runs of the page
  Metrics metrics;
  std::optional<RunSummary> summary;
  Settings configuration;
  std::optional<RunEvaluation> evaluation;
  std::optional<CacheFacts> cache;
  std::vector<std::string> problems;  ///< files that could not be read, in sentences
};

/// Throws Error, kInput, unless each directory is one of a run (it has a metrics.jsonl or a summary.json) and given
/// once.
void check_runs(const std::vector<std::string>& directories);

/// Reads every directory, several at once. Throws Error as check_runs() does.
std::vector<Run> read_runs(const std::vector<std::string>& directories);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_RUN_H_
