// Whether a run is learning: plain sentences from numbers that were measured while it trained. Pure functions; nothing
// is said that the numbers do not show.
#ifndef VITRINE_TRAIN_RUN_LEARNING_H_
#define VITRINE_TRAIN_RUN_LEARNING_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vitrine {

/// What was measured since a phase began, or over one of its epochs.
struct LearningEvidence {
  std::string phase;     ///< "align", "joint" or "fine_tune"
  double lr = 0;         ///< the key schedule.PHASE.lr
  double lr_factor = 1;  ///< that lr_batch multiplies it by
  /// Each term of the loss ("kl", "feature", ...) at the logged steps that had it, in order; unweighted, so that the
  /// schedule's weights do not change what they mean.
  std::map<std::string, std::vector<double>> terms;
  std::vector<double> gradient_norms;  ///< at the logged steps
  /// L2 norm of each tensor that may learn, when the phase began and now; empty: not measured.
  std::vector<double> norms_before, norms_now;
  /// Mean over the logged views of KL(teacher ‖ student) at the loss's temperature, and of KL(teacher ‖ mean teacher),
  /// which is what a student that answers every view alike can reach.
  std::optional<double> kl, constant_kl;
  std::optional<double> agreement;  ///< share of the logged views with the teacher's most probable class
  std::uint64_t compared = 0;       ///< logged views that kl, constant_kl and agreement are of
  double times_seen = 0;            ///< each view by now, on average; 0: not known
  /// Of the phase's last validation, at most an epoch ago: cross entropy, and agreement with the teacher.
  std::optional<double> validation_loss, validation_agreement;
  std::uint64_t channels = 0, silent = 0;  ///< of the student's last stage; without variance over the logged views
};

struct LearningFinding {
  std::string kind;      ///< "did nothing", ...: one word for all sentences that differ in numbers only
  std::string sentence;  ///< without the phase
  bool problem = false;  ///< else it says how learning goes
};

/// What the numbers show. Empty when there is too little to compare.
std::vector<LearningFinding> learning_findings(const LearningEvidence& evidence);

/// The same in a few words, for a line an epoch: "kl from 2.1 to 1.3, agreement 61 % on training views". Empty when
/// nothing was measured.
std::string learning_words(const LearningEvidence& evidence);

/// A sentence where each view is seen so many times that it costs accuracy (train/RESULTS.md); nothing up to four.
/// Known before the first step. `remedy`: what gives more views.
std::optional<std::string> repeated_views_warning(double times_seen, const std::string& remedy);

/// Mean output term of one epoch.
struct EpochLoss {
  std::uint64_t epoch = 0;  ///< from 1
  std::string phase;
  double loss = 0;
};

/// Whether the loss dropped when the views began to repeat: that of epoch `passes` + 1, the first of views seen before,
/// against that of the epoch before, beyond the fall of the epochs until then. All three epochs must be of one phase
/// that saw each pass once. Nothing when they are not there, or the drop is not notable.
std::optional<LearningFinding> repetition_finding(const std::vector<EpochLoss>& epochs, std::uint64_t passes);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_LEARNING_H_
