#include "tools/commands/choose/outcome.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "tools/commands/bench/report.h"
#include "tools/commands/report/chart.h"
#include "tools/inspect/words.h"
#include "train/run/checkpoint.h"
#include "train/run/run_result.h"

namespace vitrine {
namespace {

using Row = std::vector<std::string>;

Row cost_row(const CandidateCost& cost) {
  return {cost.candidate.name(), figure(1e3 * cost.latency) + " ms",
          figure(static_cast<double>(cost.multiply_adds) / 1e9) + " G",
          figure(static_cast<double>(cost.parameters) / 1e6) + " M"};
}

constexpr const char* kTestColumn = "top-1 on the test images";

}  // namespace

std::string plan_table(const std::vector<CandidateCost>& costs, const std::vector<CandidateCost>& chosen,
                       double bound) {
  std::vector<CandidateCost> order = costs;
  std::ranges::stable_sort(order, {}, &CandidateCost::latency);
  const std::vector<CandidateCost> all = worth_training(costs, bound, costs.size());
  const auto in = [](const std::vector<CandidateCost>& list, const CandidateCost& cost) {
    return std::ranges::any_of(list, [&](const CandidateCost& one) { return one.candidate == cost.candidate; });
  };
  std::vector<Row> rows{{"candidate", "latency", "multiply-adds", "parameters", ""}};
  for (const CandidateCost& cost : order) {
    rows.push_back(cost_row(cost));
    rows.back().push_back(in(chosen, cost)       ? "is trained"
                          : cost.latency > bound ? "too slow"
                          : in(all, cost)        ? "left out: --most"
                                                 : "another is no slower and larger");
  }
  return table_words(rows);
}

RunScore score_of(const std::filesystem::path& run) {
  std::optional<TrainResult> result = read_summary(run);
  if (!result)
    throw Error(ErrorKind::kInput, {.path = run.string(),
                                    .what = "is not a finished run",
                                    .remedy = "repeat the command, without max_steps in the configuration"});
  if (const auto checkpoint = read_checkpoint(run)) result->take_scores(*checkpoint);
  if (result->best.has_value())
    return {result->best.score,
            text("best ", result->best.chosen_by == "top1" ? "top-1" : "agreement with the teacher",
                 " on the validation images"),
            result->test ? std::optional(result->test->top1) : std::nullopt};
  if (result->test) return {result->test->top1, "top-1 on the test images", {}};
  if (result->validation) return {result->validation->top1, "top-1 on the validation images", {}};
  throw Error(ErrorKind::kInput, {.path = run.string(),
                                  .what = "has no score",
                                  .remedy = "remove it, set validation, hold_out or test in the configuration, and "
                                            "repeat the command"});
}

std::string outcome_table(const Outcome& outcome) {
  const std::vector<std::size_t> edge = edge_of(outcome.trained);
  const std::optional<std::size_t> best = choose(outcome.trained, outcome.bound);
  const bool tested =
      std::ranges::any_of(outcome.trained, [](const TrainedCandidate& one) { return one.test.has_value(); });
  std::vector<Row> rows{{"student", "latency", "multiply-adds", "parameters", outcome.score}};
  if (tested) rows.back().push_back(kTestColumn);
  rows.back().push_back("");
  for (std::size_t i = 0; i < outcome.trained.size(); ++i) {
    rows.push_back(cost_row(outcome.trained[i].cost));
    rows.back().push_back(percent_words(outcome.trained[i].score, 2));
    if (tested) rows.back().push_back(outcome.trained[i].test ? percent_words(*outcome.trained[i].test, 2) : "-");
    rows.back().push_back(i == best                         ? "the choice"
                          : std::ranges::count(edge, i) > 0 ? "best for its latency"
                                                            : "another is no slower and better");
  }
  return table_words(rows);
}

std::string outcome_drawing(const Outcome& outcome) {
  const auto& trained = outcome.trained;
  Series edge;
  for (const std::size_t i : edge_of(trained)) edge.add(1e3 * trained[i].cost.latency, trained[i].score);
  Chart chart;
  chart.title = outcome.score, chart.unit = "%", chart.x_title = "latency, ms";
  chart.lines = {{.label = "the edge", .series = &edge, .factor = 100, .dots = true}};
  const std::optional<std::size_t> best = choose(trained, outcome.bound);
  for (std::size_t i = 0; i < trained.size(); ++i)
    chart.marks.push_back({.label = trained[i].cost.candidate.name() + (i == best ? ", the choice" : ""),
                           .style = i == best ? std::size_t{1} : std::size_t{0},
                           .x = 1e3 * trained[i].cost.latency,
                           .y = 100 * trained[i].score,
                           .named = true});
  return chart_svg(chart);
}

nlohmann::ordered_json outcome_json(const Outcome& outcome) {
  const auto& trained = outcome.trained;
  const std::vector<std::size_t> edge = edge_of(trained);
  nlohmann::ordered_json students = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < trained.size(); ++i) {
    const CandidateCost& cost = trained[i].cost;
    students.push_back({{"run", cost.candidate.name()},
                        {"arch", cost.candidate.arch()},
                        {"width", cost.candidate.width},
                        {"size", cost.candidate.size},
                        {"latency_seconds", cost.latency},
                        {"multiply_adds", cost.multiply_adds},
                        {"parameters", cost.parameters},
                        {"score", trained[i].score}});
    if (trained[i].test) students.back()["test_top1"] = *trained[i].test;
    students.back()["edge"] = std::ranges::count(edge, i) > 0;
  }
  nlohmann::ordered_json out = {
      {"bound_seconds", outcome.bound}, {"measured_on", nullptr}, {"score", outcome.score}, {"choice", nullptr}};
  if (const MeasuredOn& on = outcome.on; !on.device.empty())
    out["measured_on"] = {
        {"device", on.device}, {"runtime", on.runtime}, {"threads", on.threads}, {"precision", on.precision}};
  if (const auto best = choose(trained, outcome.bound)) out["choice"] = trained[*best].cost.candidate.name();
  out["students"] = std::move(students);
  return out;
}

}  // namespace vitrine
