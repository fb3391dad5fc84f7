#include "tools/commands/cache/deep_report.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "tools/inspect/words.h"
#include "tools/inspect/loss_summary.h"

namespace vitrine {

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWithin:
      return "within";
    case Verdict::kBeyond:
      return "beyond";
    case Verdict::kNone:
      return "none";
    case Verdict::kNotRun:
      return "not run";
  }
  return "";
}

nlohmann::ordered_json deep_json(const std::vector<DeepResult>& results) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const DeepResult& result : results) {
    nlohmann::ordered_json entry;
    entry["track"] = result.track;
    entry["verdict"] = verdict_name(result.verdict);
    if (!result.why.empty()) entry["why"] = result.why;
    entry["beyond"] = result.verdict == Verdict::kBeyond;
    entry["groups"] = result.groups;
    entry["views"] = result.views;
    if (result.verdict != Verdict::kNotRun) {
      entry["identical_groups"] = result.identical;
      entry["worst_error"] = result.error;
      if (result.bound > 0) entry["bound"] = result.bound;
      if (result.tolerance > 0) entry["difference"] = result.difference, entry["tolerance"] = result.tolerance;
      entry["loss"] = result.loss;
    }
    out.push_back(std::move(entry));
  }
  return out;
}

void print_deep(const DeepReport& deep) {
  if (!deep.not_run.empty()) std::cout << "deep: not run, because " << deep.not_run << '\n';
  std::vector<std::vector<std::string>> rows{{"compared", "views", "identical groups", "difference", "tolerated",
                                              "error", "bound", "", "loss against the teacher"}};
  for (const DeepResult& result : deep.results) {
    if (result.verdict == Verdict::kNotRun) continue;
    const bool bounded = result.tolerance > 0;
    rows.push_back({result.track, human_count(result.views), text(result.identical, " of ", result.groups),
                    bounded ? number_words(result.difference) : "", bounded ? number_words(result.tolerance) : "",
                    number_words(result.error), result.bound > 0 ? number_words(result.bound) : "",
                    result.verdict == Verdict::kBeyond   ? "BEYOND"
                    : result.verdict == Verdict::kWithin ? "within"
                                                         : "no verdict",
                    loss_words(result.loss)});
  }
  if (rows.size() > 1) print_table(rows);
  for (const DeepResult& result : deep.results)
    if (result.verdict == Verdict::kNotRun)
      std::cout << "deep: " << result.track << ": not run, because " << result.why << '\n';
    else if (!result.why.empty())
      std::cout << "deep: " << result.track << ": " << result.why << '\n';
}

}  // namespace vitrine
