// metrics.jsonl of a run (train/run/README.md), read in one pass into curves of bounded size.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_METRICS_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_METRICS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/commands/report/series.h"

namespace vitrine {

/// The numbers of "step" lines that are drawn; their keys are kStepKeys.
enum class StepKey : std::size_t {
  kLr,
  kLoss,
  kKl,
  kFeature,
  kAttention,
  kLabel,
  kExits,
  kEmbedding,
  kDistillationWeight,
  kFeatureWeight,
  kOutputWeight,
  kImagesPerSecond,
  kWaitShare,
  kGradientNorm,
  kScale,
  kCount
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(StepKey::kCount)> kStepKeys{
    "lr",
    "loss",
    "kl",
    "feature",
    "attention",
    "label",
    "exits",
    "embedding",
    "distillation_weight",
    "feature_weight",
    "output_weight",
    "images_per_second",
    "wait_share",
    "gradient_norm",
    "scale"};

/// The numbers of "validation" lines that are drawn; their keys are kValidationKeys.
enum class ValidationKey : std::size_t { kTop1, kTop5, kLoss, kAgreement, kCount };
inline constexpr std::array<std::string_view, static_cast<std::size_t>(ValidationKey::kCount)> kValidationKeys{
    "top1", "top5", "loss", "agreement"};

struct PhaseSpan {
  std::string name;                   ///< "align", "joint", "fine_tune", or what another version writes
  std::uint64_t first = 0, last = 0;  ///< steps that have a line; consecutive phases meet at first
};

/// What a run found out about its learning at the end of a phase or epoch.
struct LearningNote {
  std::uint64_t step = 0, epoch = 0;
  std::string phase;
  std::string kind;  ///< the same for sentences that differ in numbers only
  std::string sentence;
  bool problem = false;  ///< else it says how learning goes
};

struct BestValidation {
  std::uint64_t step = 0, epoch = 0;
  std::optional<double> top1, agreement;  ///< in [0, 1]
};

struct Metrics {
  std::array<Series, kStepKeys.size()> steps;
  std::array<Series, kValidationKeys.size()> validations;
  std::vector<PhaseSpan> phases;  ///< in the order of the steps
  std::vector<LearningNote> findings;
  std::optional<BestValidation> best;  ///< the last one that was the best so far
  std::uint64_t last_step = 0, last_epoch = 0;
  double seconds = 0;                 ///< of training, at the last line
  std::uint64_t lines = 0;            ///< of a known event
  std::uint64_t unread = 0;           ///< lines that are cut off or damaged
  std::uint64_t repeated = 0;         ///< "step" lines of a step that is not after the one before; left out
  std::uint64_t skipped_updates = 0;  ///< by the gradient scaler

  const Series& operator[](StepKey key) const { return steps[static_cast<std::size_t>(key)]; }
  const Series& operator[](ValidationKey key) const { return validations[static_cast<std::size_t>(key)]; }
};

/// Unknown events and keys are ignored, as are values of another type; lines that are no JSON objects are counted.
/// Memory does not depend on the number of lines. Throws Error when the file cannot be read.
Metrics read_metrics(const std::filesystem::path& path);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_METRICS_H_
