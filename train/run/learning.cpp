#include "train/run/learning.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/base/digits.h"
#include "common/base/error.h"

namespace vitrine {
namespace {

// Fewer logged steps say nothing about a trend: the loss of single batches scatters by a tenth and more.
constexpr std::size_t kFewestLines = 8;
// A quarter of the lines at either end is compared, at most this many: enough to average the scatter of single batches,
// few enough to be "the beginning" and "the end".
constexpr std::size_t kMostCompared = 20;
// A fall below this share of a term is within the scatter of the averages.
constexpr double kNotableFall = 0.02;
// A student that answers alike for every view has the constant guess's KL; estimates from a few hundred views differ
// from each other by a few per cent.
constexpr double kLikeConstant = 0.95;
// BatchNorm and ReLU leave a few channels silent on a few hundred views; a twentieth of them is capacity that is lost.
constexpr double kManySilent = 0.05;
// Norms of one run vary by a factor of ten between batches and over the schedule; a hundred is an explosion.
constexpr double kExplosion = 100;
// Against the fall of the epoch before: an epoch's loss usually falls less than the one before, never thrice as much.
constexpr double kSteeper = 3;
constexpr double kNotableDrop = 0.05;

std::string digits(double value) {
  return significant(value, 3);
}

std::string share_in_percent(double share) {
  return digits(100 * share) + " %";
}

std::string lr_key(const LearningEvidence& evidence) {
  return text("schedule.", evidence.phase, ".lr = ", digits(evidence.lr),
              evidence.lr_factor == 1 ? "" : text(", which lr_batch makes ", digits(evidence.lr * evidence.lr_factor)));
}

double mean_of(std::vector<double>::const_iterator first, std::vector<double>::const_iterator last) {
  return std::accumulate(first, last, 0.0) / static_cast<double>(last - first);
}

struct Trend {
  double begin = 0, end = 0;
  double fall() const { return begin > 0 ? (begin - end) / begin : 0; }
};

std::optional<Trend> trend_of(const std::vector<double>& values) {
  if (values.size() < kFewestLines) return std::nullopt;
  const auto count = static_cast<std::ptrdiff_t>(std::min(values.size() / 4, kMostCompared));
  return Trend{mean_of(values.begin(), values.begin() + count), mean_of(values.end() - count, values.end())};
}

bool did_nothing(const LearningEvidence& evidence) {
  return !evidence.norms_now.empty() && evidence.norms_before == evidence.norms_now;
}

// The terms at the beginning and at the end, and whether none of them fell.
void add_terms(const LearningEvidence& evidence, std::vector<LearningFinding>& out) {
  std::string words;
  bool fell = false;
  for (const auto& [term, values] : evidence.terms) {
    const std::optional<Trend> trend = trend_of(values);
    if (!trend) continue;
    words += text(words.empty() ? "" : ", ", term, " from ", digits(trend->begin), " to ", digits(trend->end));
    fell = fell || trend->fall() > kNotableFall;
  }
  if (words.empty()) return;
  if (fell || did_nothing(evidence)) {
    out.push_back({"terms", words, false});
  } else {
    out.push_back({"no fall",
                   text("no term of the loss fell by more than ", share_in_percent(kNotableFall), " (", words,
                        "); check ", lr_key(evidence), ", or the phase has converged"),
                   true});
  }
}

void add_gradients(const LearningEvidence& evidence, std::vector<LearningFinding>& out) {
  std::vector<double> norms = evidence.gradient_norms;
  if (norms.size() < kFewestLines) return;
  const double largest = *std::ranges::max_element(norms);
  std::ranges::nth_element(norms, norms.begin() + std::ssize(norms) / 2);
  const double median = norms[norms.size() / 2];
  if (median > 0 && largest > kExplosion * median)
    out.push_back({"gradient",
                   text("the gradient's norm reached ", digits(largest), ", ", digits(largest / median),
                        " times its median; lower schedule.", evidence.phase, ".lr, or set clip_norm"),
                   true});
}

void add_output(const LearningEvidence& evidence, std::vector<LearningFinding>& out) {
  if (evidence.kl && evidence.constant_kl && *evidence.constant_kl > 0) {
    const std::string values =
        text("KL to the teacher is ", digits(*evidence.kl), ", a constant guess has ", digits(*evidence.constant_kl));
    const bool constant = *evidence.kl > kLikeConstant * *evidence.constant_kl;
    out.push_back({"constant", values + (constant ? ": the student does not yet tell the views apart" : ""), constant});
  }
  if (evidence.agreement)
    out.push_back({"agreement",
                   text("agrees with the teacher on ", share_in_percent(*evidence.agreement), " of the training views"),
                   false});
}

}  // namespace

std::vector<LearningFinding> learning_findings(const LearningEvidence& evidence) {
  std::vector<LearningFinding> out;
  if (did_nothing(evidence))
    out.push_back({"did nothing", text("did nothing: no weight has changed (", lr_key(evidence), ")"), true});
  add_terms(evidence, out);
  add_output(evidence, out);
  if (evidence.channels > 0 &&
      static_cast<double>(evidence.silent) >= kManySilent * static_cast<double>(evidence.channels))
    out.push_back({"silent channels",
                   text(evidence.silent, " of the ", evidence.channels,
                        " channels of the student's last stage are equal for all views: they carry nothing"),
                   true});
  add_gradients(evidence, out);
  return out;
}

std::optional<LearningFinding> repetition_finding(const std::vector<EpochLoss>& epochs, std::uint64_t passes) {
  const auto at = [&](std::uint64_t epoch) { return std::ranges::find(epochs, epoch, &EpochLoss::epoch); };
  if (passes < 2) return std::nullopt;
  const auto before = at(passes - 1), last_new = at(passes), repeated = at(passes + 1);
  if (before == epochs.end() || last_new == epochs.end() || repeated == epochs.end()) return std::nullopt;
  if (before->phase != repeated->phase || last_new->phase != repeated->phase) return std::nullopt;
  const double usual = std::abs(before->loss - last_new->loss), drop = last_new->loss - repeated->loss;
  if (last_new->loss <= 0 || drop < kSteeper * usual || drop < kNotableDrop * last_new->loss) return std::nullopt;
  return LearningFinding{
      "repetition",
      text("the loss fell from ", digits(last_new->loss), " to ", digits(repeated->loss), " when the ", passes,
           " passes began to repeat, more than in any epoch of new views: the student fits views that it has seen; "
           "more passes would help"),
      true};
}

}  // namespace vitrine
