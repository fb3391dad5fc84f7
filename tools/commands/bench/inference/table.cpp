#include "tools/commands/bench/inference/table.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "tools/commands/bench/report.h"

namespace vitrine::bench {
namespace {

using Row = std::array<std::string, 9>;

constexpr const char* kNone = "–";

// In characters: "–" has three bytes.
std::size_t characters(const std::string& words) {
  return static_cast<std::size_t>(std::ranges::count_if(words, [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string milliseconds(double seconds) {
  return figure(1e3 * seconds);
}

std::string scientific(double value) {
  char out[32];
  std::snprintf(out, sizeof out, "%.1e", value);
  return out;
}

Row row_of(const Subject& subject, const Figures& figures) {
  Row row{subject.name, text(figures.entry.runtime, ' ', figures.entry.precision)};
  if (!figures.failed.empty()) return row[2] = figures.failed, row;
  row[2] = text(figure(figures.throughput()), " (", figures.best_batch(), ")");
  row[3] = milliseconds(figures.latency(0.5)), row[4] = milliseconds(figures.latency(0.99));
  row[5] = figure(static_cast<double>(subject.cost.parameters) / 1e6) + " M";
  row[6] = figure(static_cast<double>(subject.cost.multiply_adds) / 1e9) + " G";
  row[7] = figures.memory ? human_bytes(static_cast<double>(*figures.memory)) : kNone;
  row[8] = scientific(figures.error);
  return row;
}

// The required ratio to a peer: these two, on a CPU.
std::string bar_of(const std::string& runtime) {
  return runtime == "torch.compile" ? ">= 100 %" : runtime == "onnxruntime" ? ">= 90 %" : "";
}

nlohmann::ordered_json figures_json(const Figures& figures) {
  nlohmann::ordered_json out = {{"runtime", figures.entry.runtime}, {"precision", figures.entry.precision}};
  if (!figures.failed.empty()) return out["failed"] = figures.failed, out;
  out["images_per_second"] = figures.throughput();
  out["batch"] = figures.best_batch();
  out["latency_p50_seconds"] = figures.latency(0.5);
  out["latency_p99_seconds"] = figures.latency(0.99);
  if (figures.memory) out["peak_memory_bytes"] = *figures.memory;
  out["relative_error"] = figures.error;
  return out;
}

}  // namespace

std::string cost_table(const std::vector<Measured>& all) {
  std::vector<Row> rows{
      {"network", "runtime", "images/s (batch)", "p50 ms", "p99 ms", "parameters", "multiply-adds", "memory", "error"}};
  for (const Measured& measured : all)
    for (const Figures& figures : measured.figures) rows.push_back(row_of(measured.subject, figures));
  std::array<std::size_t, std::tuple_size_v<Row>> widths{};
  for (const Row& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c)
      if (!row[3].empty()) widths[c] = std::max(widths[c], characters(row[c]));  // a failure has no such columns
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c)
      line += row[c] + std::string(2 + widths[c] - std::min(widths[c], characters(row[c])), ' ');
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

void print_ratios(const Measured& measured, const ContestOptions& options) {
  std::vector<ReportLine> lines;
  for (const Figures& own : measured.figures) {
    if (own.entry.runtime != kOwnRuntime || !own.failed.empty()) continue;
    for (const Figures& peer : measured.figures) {
      if (peer.entry.runtime == kOwnRuntime || !peer.failed.empty() || peer.entry.precision != own.entry.precision)
        continue;
      const auto add = [&](const std::string& what, const std::string& unit, double mine, double theirs, double ratio) {
        lines.push_back({text(own.entry.precision, ", ", what), figure(mine) + unit,
                         text(peer.entry.runtime, " ", figure(theirs), unit), in_percent(ratio),
                         options.device.is_cpu() ? bar_of(peer.entry.runtime) : ""});
      };
      const double rate = own.throughput(), other = peer.throughput();
      add("throughput", " images/s", rate, other, rate / other);
      const double latency = own.latency(0.5), others = peer.latency(0.5);
      add("latency", " ms", 1e3 * latency, 1e3 * others, others / latency);
    }
  }
  if (!lines.empty()) print_report(text(measured.subject.name, ", ratios of speed:"), lines);
}

void print_steps(const Measured& measured) {
  std::vector<ReportLine> lines;
  const Figures* before = nullptr;
  for (const Figures& step : measured.steps) {
    const bool first = before == nullptr || before->entry.precision != step.entry.precision;
    const auto add = [&](const std::string& what, double rate, double formerly) {
      lines.push_back({text(step.entry.precision, ", ", name_of(step.entry.preparation), ", ", what),
                       figure(rate) + " images/s", first ? "" : text("before ", figure(formerly)),
                       first ? "" : in_percent(rate / formerly)});
    };
    add("at the best batch", step.throughput(), first ? 0 : before->throughput());
    add("at batch 1", 1 / step.latency(0.5), first ? 0 : 1 / before->latency(0.5));
    before = &step;
  }
  if (!lines.empty()) print_report(text(measured.subject.name, ", what each step brings:"), lines);
}

nlohmann::ordered_json inference_json(const std::vector<Measured>& all, const ContestOptions& options) {
  nlohmann::ordered_json networks = nlohmann::ordered_json::array();
  for (const Measured& measured : all) {
    nlohmann::ordered_json one = {{"network", measured.subject.name},
                                  {"size", measured.subject.size},
                                  {"parameters", measured.subject.cost.parameters},
                                  {"multiply_adds", measured.subject.cost.multiply_adds},
                                  {"figures", nlohmann::ordered_json::array()}};
    for (const Figures& figures : measured.figures) one["figures"].push_back(figures_json(figures));
    for (const Figures& step : measured.steps) {
      nlohmann::ordered_json json = figures_json(step);
      json["step"] = name_of(step.entry.preparation);
      one["steps"].push_back(std::move(json));
    }
    networks.push_back(std::move(one));
  }
  return {{"device", options.device.str()}, {"threads", options.threads}, {"networks", std::move(networks)}};
}

}  // namespace vitrine::bench
