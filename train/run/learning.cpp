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
// Norms of gradients vary by a factor of ten between batches and over the schedule; a hundred is an explosion.
constexpr double kExplosion = 100;
// Weights that learn at a stable rate change by a share of themselves over a phase; ten times is a divergence.
constexpr double kWeightExplosion = 10;
// A rise of this share is none of the averages' scatter, and none of a converged phase.
constexpr double kNotableRise = 0.05;
// Above the lowest of all averages, which is low by chance too.
constexpr double kRiseFromLowest = 0.2;
// Views that are seen twice lose nothing at equal steps, those seen five times one or two points (train/RESULTS.md).
constexpr double kHarmlessTimes = 2, kMostTimes = 4;
// Mixed and cropped views are harder than clean crops, so that a student that generalises has the greater loss on them.
constexpr double kFitted = 0.6;
// Agreement on views that were seen, above that on others, beside three standard deviations of its estimate.
constexpr double kFittedAgreement = 0.15;
// Against the fall of the epoch before: an epoch's loss usually falls less than the one before, never thrice as much.
constexpr double kSteeper = 3;
constexpr double kNotableDrop = 0.05;

std::string digits(double value) {
  return significant(value, 3);
}

std::string lr_key(const LearningEvidence& evidence) {
  return text("schedule.", evidence.phase, ".lr = ", digits(evidence.lr),
              evidence.lr_factor == 1 ? "" : text(", which lr_batch makes ", digits(evidence.lr * evidence.lr_factor)));
}

double mean_of(std::vector<double>::const_iterator first, std::vector<double>::const_iterator last) {
  return std::accumulate(first, last, 0.0) / static_cast<double>(last - first);
}

struct Trend {
  double begin = 0, end = 0, lowest = 0;
  double fall() const { return begin > 0 ? (begin - end) / begin : 0; }
};

std::optional<Trend> trend_of(const std::vector<double>& values) {
  if (values.size() < kFewestLines) return std::nullopt;
  const auto count = static_cast<std::ptrdiff_t>(std::min(values.size() / 4, kMostCompared));
  Trend out{mean_of(values.begin(), values.begin() + count), mean_of(values.end() - count, values.end())};
  out.lowest = std::min(out.begin, out.end);
  for (auto first = values.begin() + count; values.end() - first >= count; first += count)
    out.lowest = std::min(out.lowest, mean_of(first, first + count));
  return out;
}

std::map<std::string, Trend> trends_of(const LearningEvidence& evidence) {
  std::map<std::string, Trend> out;
  for (const auto& [term, values] : evidence.terms)
    if (const std::optional<Trend> trend = trend_of(values)) out[term] = *trend;
  return out;
}

// "kl from 2.1 to 1.3, label from 3 to 2.2"
std::string trend_words(const std::map<std::string, Trend>& trends) {
  std::string out;
  for (const auto& [term, trend] : trends)
    out += text(out.empty() ? "" : ", ", term, " from ", digits(trend.begin), " to ", digits(trend.end));
  return out;
}

// L2 over all tensors together.
double whole_norm(const std::vector<double>& norms) {
  return std::sqrt(std::inner_product(norms.begin(), norms.end(), norms.begin(), 0.0));
}

bool did_nothing(const LearningEvidence& evidence) {
  return !evidence.norms_now.empty() && evidence.norms_before == evidence.norms_now;
}

// The terms at the beginning and at the end: whether all of them ended above where they had been, or none of them fell.
void add_terms(const LearningEvidence& evidence, std::vector<LearningFinding>& out) {
  const std::map<std::string, Trend> trends = trends_of(evidence);
  if (trends.empty()) return;
  const auto all = [&](const auto& holds) {
    return std::ranges::all_of(trends, [&](const auto& entry) { return holds(entry.second); });
  };
  const bool none_fell = all([](const Trend& trend) { return trend.fall() <= kNotableFall; });
  const bool rose = none_fell && !all([](const Trend& trend) { return trend.fall() >= -kNotableRise; });
  const bool rose_again = all([](const Trend& trend) { return trend.end > (1 + kRiseFromLowest) * trend.lowest; });
  const std::string words = trend_words(trends);
  if (did_nothing(evidence)) {
    out.push_back({"terms", words, false});
  } else if (rose) {
    out.push_back({"rose", text("the loss rose (", words, "); lower ", lr_key(evidence)), true});
  } else if (none_fell) {
    out.push_back({"no fall",
                   text("no term of the loss fell by more than ", percent_words(kNotableFall), " (", words, "); raise ",
                        lr_key(evidence), ", unless the phase has converged"),
                   true});
  } else if (rose_again) {
    std::string lowest;
    for (const auto& [term, trend] : trends)
      lowest += text(lowest.empty() ? "" : ", ", term, " from ", digits(trend.lowest), " to ", digits(trend.end));
    out.push_back({"rose again", text("the loss fell and rose again (", lowest, "); lower ", lr_key(evidence)), true});
  } else {
    out.push_back({"terms", words, false});
  }
}

void add_weights(const LearningEvidence& evidence, std::vector<LearningFinding>& out) {
  if (evidence.norms_before.size() != evidence.norms_now.size()) return;
  const double before = whole_norm(evidence.norms_before), now = whole_norm(evidence.norms_now);
  if (before > 0 && now > kWeightExplosion * before)
    out.push_back({"weights",
                   text("the norm of the weights grew from ", digits(before), " to ", digits(now), ", ",
                        digits(now / before), " times; lower ", lr_key(evidence), ", or raise optimizer.weight_decay"),
                   true});
}

// Views that repeat, against images that do not teach.
void add_seen_views(const LearningEvidence& evidence, std::vector<LearningFinding>& out) {
  if (evidence.times_seen <= kHarmlessTimes) return;
  std::string fitted;
  const auto label = evidence.terms.find("label");
  const std::optional<Trend> loss = label == evidence.terms.end() ? std::nullopt : trend_of(label->second);
  if (loss && evidence.validation_loss && loss->end < kFitted * *evidence.validation_loss)
    fitted = text("the label loss is ", digits(loss->end), " on training views and ", digits(*evidence.validation_loss),
                  " on the validation images");
  if (evidence.agreement && evidence.validation_agreement && evidence.compared > 0) {
    const double spread = std::sqrt(0.25 / static_cast<double>(evidence.compared));
    if (*evidence.agreement > *evidence.validation_agreement + kFittedAgreement + 3 * spread)
      fitted = text("the student agrees with the teacher on ", percent_words(*evidence.agreement),
                    " of the training views and on ", percent_words(*evidence.validation_agreement),
                    " of the validation images");
  }
  if (fitted.empty()) return;
  out.push_back({"seen views",
                 text(fitted, ": it fits views that it has seen, each ", digits(evidence.times_seen),
                      " times by now; more passes would help"),
                 true});
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
                   text("agrees with the teacher on ", percent_words(*evidence.agreement), " of the training views"),
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
  add_weights(evidence, out);
  add_seen_views(evidence, out);
  return out;
}

std::string learning_words(const LearningEvidence& evidence) {
  std::string out = trend_words(trends_of(evidence));
  if (evidence.agreement)
    out += text(out.empty() ? "" : ", ", "agreement ", percent_words(*evidence.agreement), " on training views");
  return out;
}

std::optional<std::string> repeated_views_warning(double times_seen, const std::string& remedy) {
  if (times_seen <= kMostTimes) return std::nullopt;
  return text("each view is seen ", digits(times_seen),
              " times; in train/RESULTS.md, at equal steps, views seen 5 times cost one or two points of top-1 against "
              "views seen twice, and 16 times nine; ",
              remedy, ", or train for fewer epochs");
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
