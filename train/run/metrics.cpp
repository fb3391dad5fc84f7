#include "train/run/metrics.h"

#include <algorithm>
#include <cmath>

namespace vitrine {
namespace {

using MetricsJson = nlohmann::ordered_json;

// The columns of metrics.csv.
const std::vector<const char*>& metrics_columns() {
  static const std::vector<const char*> all = [] {
    std::vector<const char*> out{"step", "event", "epoch", "phase", "lr", "loss"};
    for (const auto& term : kLossTerms<char>) out.push_back(term.key);
    for (const char* key : {"distillation_weight", "feature_weight", "output_weight", "gradient_norm",
                            "images_per_second", "seconds", "wait_share", "core_seconds", "scale", "skipped", "images",
                            "top1", "top5", "agreement", "best", "validation_seconds"})
      out.push_back(key);
    return out;
  }();
  return all;
}

// JSON has no NaN and no infinity.
void put(MetricsJson& line, const char* key, std::optional<double> value) {
  if (value && std::isfinite(*value)) line[key] = *value;
}

MetricsJson begun(const char* event, const RunMoment& at) {
  return {{"event", event}, {"step", at.step}, {"epoch", at.epoch}, {"phase", at.phase}};
}

std::string cell_of(const MetricsJson& value) {
  if (value.is_number() || value.is_boolean()) return value.dump();
  if (!value.is_string()) return "";
  // The events' own words need no quotes; a line changed by hand may have others.
  const std::string words = value.get<std::string>();
  return words.find_first_of(",\"\r\n") == std::string::npos ? words : "";
}

}  // namespace

MetricsJson to_json(const StepMetrics& metrics) {
  MetricsJson line = begun("step", metrics.at);
  put(line, "lr", metrics.lr);
  put(line, "loss", metrics.loss);
  for (const auto& [key, term] : kLossTerms<std::optional<double>>) put(line, key, metrics.terms.*term);
  put(line, "distillation_weight", metrics.weights.r);
  put(line, "feature_weight", metrics.weights.w_feat);
  put(line, "output_weight", metrics.weights.w_out);
  put(line, "gradient_norm", metrics.gradient_norm);
  put(line, "images_per_second", metrics.images_per_second);
  put(line, "seconds", metrics.seconds);
  put(line, "wait_share", metrics.wait_share);
  put(line, "core_seconds", metrics.core_seconds);
  if (metrics.scale) {
    put(line, "scale", metrics.scale);
    line["skipped"] = metrics.skipped;
  }
  return line;
}

MetricsJson to_json(const ValidationMetrics& metrics) {
  MetricsJson line = begun("validation", metrics.at);
  line["images"] = metrics.images;
  put(line, "top1", metrics.top1);
  put(line, "top5", metrics.top5);
  put(line, "loss", metrics.loss);
  put(line, "agreement", metrics.agreement);
  line["best"] = metrics.best;
  put(line, "validation_seconds", metrics.validation_seconds);
  return line;
}

MetricsJson to_json(const PhaseMetrics& metrics) {
  MetricsJson line = begun("phase", metrics.at);
  auto& findings = line["findings"] = MetricsJson::array();
  for (const LearningFinding& finding : metrics.findings)
    findings.push_back({{"kind", finding.kind}, {"problem", finding.problem}, {"sentence", finding.sentence}});
  return line;
}

MetricsJson to_json(const EndMetrics& metrics) {
  MetricsJson line = {{"event", "end"}, {"step", metrics.step}};
  put(line, "seconds", metrics.seconds);
  put(line, "top1", metrics.top1);
  if (metrics.top1) line["on"] = metrics.on;
  put(line, "last_top1", metrics.last_top1);
  return line;
}

std::string metrics_heading() {
  std::string out;
  for (const char* column : metrics_columns()) out += (out.empty() ? "" : ",") + std::string(column);
  return out;
}

std::string metrics_row(const MetricsJson& line) {
  std::string out;
  for (const char* column : metrics_columns()) {
    const auto found = line.find(column);
    out += (column == metrics_columns()[0] ? "" : ",") + (found == line.end() ? std::string() : cell_of(*found));
  }
  return out;
}

bool in_metrics_table(const MetricsJson& line) {
  const auto event = line.find("event");
  return event != line.end() && (*event == "step" || *event == "validation");
}

}  // namespace vitrine
