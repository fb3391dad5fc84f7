// The curves by step. A single run's charts show several quantities each; with several runs each chart shows one
// quantity of all of them.
#include <algorithm>
#include <cmath>

#include "common/base/error.h"
#include "tools/commands/report/chart.h"
#include "tools/commands/report/page.h"

namespace vitrine {
namespace {

std::vector<ChartSpan> spans_of(const Run& run) {
  std::vector<ChartSpan> out;
  for (const PhaseSpan& phase : run.metrics.phases)
    out.push_back({phase.name, static_cast<double>(phase.first), static_cast<double>(phase.last)});
  if (!out.empty()) out.front().from = 0;  // its first line comes some steps later
  return out;
}

// The phases to shade in a chart of all runs: those of the first if all runs have the same, to within a few log lines.
std::vector<ChartSpan> common_spans(const std::vector<Run>& runs) {
  const std::vector<ChartSpan> first = spans_of(runs[0]);
  for (const Run& run : runs) {
    const std::vector<ChartSpan> own = spans_of(run);
    if (own.size() != first.size()) return {};
    for (std::size_t i = 0; i < own.size(); ++i)
      if (own[i].label != first[i].label || std::abs(own[i].from - first[i].from) > 0.02 * first.back().to ||
          std::abs(own[i].to - first[i].to) > 0.02 * first.back().to)
        return {};
  }
  return first;
}

// Of runs whose phases differ: a list in words.
std::string phases_html(const std::vector<Run>& runs) {
  std::string out;
  for (const Run& run : runs) {
    std::string words;
    for (const PhaseSpan& phase : run.metrics.phases)
      words += text(words.empty() ? "" : ", ", phase.name, " to step ", tick_words(static_cast<double>(phase.last), 0));
    if (!words.empty()) out += "<li>" + escaped(run.name + ": " + words) + "</li>";
  }
  return out.empty() ? ""
                     : "<p class=\"soft\">Strips above a chart: the phases of each run.</p><ul class=\"notes soft\">" +
                           out + "</ul>\n";
}

/// A quantity of the lines of a run.
template <class Key>
struct Quantity {
  Key key;
  const char* label;
};

template <class Key>
ChartLine line_of(const Run& run, const Quantity<Key>& quantity, std::size_t style, double factor, bool steps) {
  return {quantity.label, style, &run.metrics[quantity.key], factor, !steps, steps};
}

constexpr Quantity<StepKey> kTerms[] = {{StepKey::kKl, "outputs"},          {StepKey::kFeature, "features"},
                                        {StepKey::kAttention, "attention"}, {StepKey::kLabel, "labels"},
                                        {StepKey::kExits, "exits"},         {StepKey::kEmbedding, "embedding"}};
constexpr Quantity<StepKey> kWeights[] = {{StepKey::kDistillationWeight, "distillation, r"},
                                          {StepKey::kFeatureWeight, "features, w_feat"},
                                          {StepKey::kOutputWeight, "outputs, w_out"}};

void add_best(const Run& run, std::size_t style, Chart& chart) {
  if (!run.metrics.best || !run.metrics.best->top1) return;
  const double top1 = 100 * *run.metrics.best->top1;
  chart.marks.push_back(
      {text("best of ", run.name, ": ", percent_number(top1 / 100), " % at step ", run.metrics.best->step), style,
       static_cast<double>(run.metrics.best->step), top1});
}

// The share of time that is not spent waiting.
Chart time_chart(const std::vector<ChartSpan>& spans) {
  Chart chart{"Waiting for data", "% of the time; the rest is computing", {}, spans, {}};
  chart.low = 0;
  return chart;
}

std::vector<Chart> charts_of_one(const Run& run) {
  const std::vector<ChartSpan> spans = spans_of(run);
  std::vector<Chart> out;
  Chart accuracy{"Accuracy", "% of the validation images", {}, spans, {}};
  accuracy.lines = {line_of(run, Quantity<ValidationKey>{ValidationKey::kTop1, "top-1"}, 0, 100, false),
                    line_of(run, Quantity<ValidationKey>{ValidationKey::kTop5, "top-5"}, 1, 100, false)};
  add_best(run, 0, accuracy);
  Chart loss{"Loss", "", {}, spans, {}};
  loss.lines = {line_of(run, Quantity<StepKey>{StepKey::kLoss, "training, all terms"}, 0, 1, true),
                line_of(run, Quantity<ValidationKey>{ValidationKey::kLoss, "validation, labels"}, 1, 1, false)};
  Chart terms{"Terms of the loss", "before their weights", {}, spans, {}};
  terms.logarithmic = true;
  for (std::size_t i = 0; i < std::size(kTerms); ++i) terms.lines.push_back(line_of(run, kTerms[i], i, 1, true));
  Chart agreement{"Agreement with the teacher", "% of the validation images", {}, spans, {}};
  agreement.lines = {line_of(run, Quantity<ValidationKey>{ValidationKey::kAgreement, "agreement"}, 0, 100, false)};
  Chart rate{"Learning rate", "", {}, spans, {}};
  rate.low = 0;
  rate.lines = {line_of(run, Quantity<StepKey>{StepKey::kLr, "learning rate"}, 0, 1, true)};
  Chart weights{"Weights of the loss", "what the terms are multiplied by", {}, spans, {}};
  weights.low = 0;
  for (std::size_t i = 0; i < std::size(kWeights); ++i) weights.lines.push_back(line_of(run, kWeights[i], i, 1, true));
  Chart speed{"Speed", "images per second", {}, spans, {}};
  speed.low = 0;
  speed.lines = {line_of(run, Quantity<StepKey>{StepKey::kImagesPerSecond, "speed"}, 0, 1, true)};
  Chart wait = time_chart(spans);
  wait.lines = {line_of(run, Quantity<StepKey>{StepKey::kWaitShare, "waiting"}, 0, 100, true)};
  Chart norm{"Gradient norm", "L2, before clipping", {}, spans, {}};
  norm.logarithmic = true;
  norm.lines = {line_of(run, Quantity<StepKey>{StepKey::kGradientNorm, "norm"}, 0, 1, true)};
  Chart scale{"Gradient scale", "against underflow in FP16", {}, spans, {}};
  scale.logarithmic = true;
  scale.lines = {line_of(run, Quantity<StepKey>{StepKey::kScale, "scale"}, 0, 1, true)};
  return {accuracy, loss, terms, agreement, rate, weights, norm, scale, speed, wait};
}

/// Charts of one quantity of all runs.
class Comparison {
 public:
  explicit Comparison(const std::vector<Run>& runs) : runs_(runs), spans_(common_spans(runs)) {}

  template <class Key>
  Chart chart(const std::string& title, const std::string& unit, Key key, double factor = 1) const {
    constexpr bool kSteps = std::is_same_v<Key, StepKey>;
    Chart out{title, unit, {}, spans_, {}};
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      out.lines.push_back(line_of(runs_[i], Quantity<Key>{key, ""}, i, factor, kSteps));
      out.lines.back().label = shortened(runs_[i].name, 40);
      // With more than three runs the bands would cover each other.
      out.lines.back().band = kSteps && runs_.size() <= 3;
    }
    for (std::size_t i = 0; phases_differ() && i < runs_.size(); ++i)
      out.lanes.push_back({runs_[i].name, i, spans_of(runs_[i])});
    out.legend = false;  // the section has one
    return out;
  }

  std::vector<Chart> charts() const {
    std::vector<Chart> out{
        chart("Top-1", "% of the validation images", ValidationKey::kTop1, 100),
        chart("Top-5", "% of the validation images", ValidationKey::kTop5, 100),
        chart("Agreement with the teacher", "% of the validation images", ValidationKey::kAgreement, 100),
        chart("Loss", "training, all terms", StepKey::kLoss), chart("Validation loss", "labels", ValidationKey::kLoss)};
    for (std::size_t i = 0; i < runs_.size(); ++i) add_best(runs_[i], i, out[0]);
    out[3].logarithmic = true;
    for (const Quantity<StepKey>& term : kTerms) {
      out.push_back(chart(text("Loss of ", term.label), "before its weight", term.key));
      out.back().logarithmic = true;
    }
    out.push_back(chart("Learning rate", "", StepKey::kLr));
    out.back().low = 0;
    for (const Quantity<StepKey>& weight : kWeights) {
      if (is_one_value(weight.key)) continue;  // the configurations say it
      out.push_back(chart(text("Weight of ", weight.label), "", weight.key));
      out.back().low = 0;
    }
    out.push_back(chart("Gradient norm", "L2, before clipping", StepKey::kGradientNorm));
    out.back().logarithmic = true;
    out.push_back(chart("Speed", "images per second", StepKey::kImagesPerSecond));
    out.back().low = 0;
    Chart wait = chart("Waiting for data", "% of the time; the rest is computing", StepKey::kWaitShare, 100);
    wait.low = 0;
    out.push_back(wait);
    return out;
  }

  // Whether all runs have the same value at all steps.
  bool is_one_value(StepKey key) const {
    std::optional<double> value;
    for (const Run& run : runs_)
      for (const Bucket& bucket : run.metrics[key].buckets()) {
        if (!value) value = bucket.low;
        if (bucket.low != *value || bucket.high != *value) return false;
      }
    return true;
  }

  std::string legend() const {
    std::vector<ChartLine> lines;
    for (std::size_t i = 0; i < runs_.size(); ++i) lines.push_back({runs_[i].name, i});
    return legend_html(lines);
  }
  bool phases_differ() const { return spans_.empty(); }

 private:
  const std::vector<Run>& runs_;
  std::vector<ChartSpan> spans_;
};

}  // namespace

Section curves_section(const std::vector<Run>& runs) {
  std::string charts, before, after;
  if (runs.size() == 1) {
    for (const Chart& chart : charts_of_one(runs[0])) charts += chart_html(chart);
  } else {
    const Comparison comparison(runs);
    for (const Chart& chart : comparison.charts()) charts += chart_html(chart);
    before = comparison.legend();
    if (comparison.phases_differ()) after = phases_html(runs);
  }
  if (charts.empty()) return {"curves", "Curves", ""};
  const std::string note =
      paragraph(
          "Shaded behind a line: from the smallest to the largest value that it averages. A ring: the best "
          "validation. Shaded areas: the phases of training. In align only the feature transformer learns, which "
          "brings the student's feature maps to the teacher's shape; in joint the whole student; fine_tune ends the "
          "run with small learning rates.",
          "soft") +
      paragraph(
          "Terms of the loss: outputs is the KL divergence from the teacher's probabilities; features, attention and "
          "embedding are distances from what the teacher computes inside; labels is the cross-entropy. The weight r is "
          "the share of distillation, and the labels have the rest.",
          "soft");
  return {
      "curves", "Curves",
      before + "<div class=\"columns\">\n" + note + "</div>\n<div class=\"charts\">\n" + charts + "</div>\n" + after};
}

}  // namespace vitrine
