#include "tools/commands/pilot/outcome.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "common/base/counted.h"
#include "common/base/digits.h"
#include "common/base/error.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {

using Json = nlohmann::ordered_json;

std::string points(double share, double standard_error) {
  return text(share > 0 ? "+" : "", decimals(100 * share, 1), " ± ", decimals(100 * standard_error, 1), " points");
}

// "p = 0.012"; what rounds to nothing is given a bound.
std::string p_words(double p) {
  return p < 0.0005 ? "p < 0.001" : "p = " + decimals(p, 3);
}

// Those after the first whose students cannot be told from its own.
std::vector<std::string> not_told_apart(const std::vector<TrialResult>& trials) {
  std::vector<std::string> out;
  for (std::size_t i = 1; i < trials.size(); ++i)
    if (!paired(trials[0].answers, trials[i].answers).told_apart()) out.push_back(trials[i].name);
  return out;
}

std::string conclusion(const std::vector<TrialResult>& trials) {
  if (trials.size() < 2) return "";
  const TrialResult &first = trials[0], &second = trials[1];
  const PairedAnswers pair = paired(first.answers, second.answers);
  const std::string figures = text(points(pair.lead(), pair.standard_error()), " on ",
                                   counted(pair.pictures, "picture"), ", ", p_words(pair.p()));
  const std::vector<std::string> alike = not_told_apart(trials);
  std::string out;
  if (pair.told_apart()) {
    out = text("the best teacher: ", first.name, ", ahead of ", second.name, " by ", figures, "\n");
  } else {
    out = text(first.name, " and ", second.name, " cannot be told apart (", figures,
               "): either may be the better teacher; more --held-out pictures may tell\n");
  }
  std::string others;
  for (const std::string& name : alike)
    if (name != second.name) others += (others.empty() ? "" : ", ") + name;
  if (!others.empty()) out += text("nor can ", others, " be told from ", first.name, "\n");
  return out;
}

}  // namespace

void sort_by_student(std::vector<TrialResult>& trials) {
  std::ranges::stable_sort(trials, std::ranges::greater{},
                           [](const TrialResult& trial) { return right_share(trial.answers).value(); });
}

std::string ranking_table(const std::vector<TrialResult>& trials) {
  std::vector<std::vector<std::string>> rows{{"configuration", "teacher", "its top-1", "student's top-1",
                                              "against the first", "", "cache per view", "core time per view"}};
  for (const TrialResult& trial : trials) {
    const Share share = right_share(trial.answers);
    const PairedAnswers pair = paired(trial.answers, trials.front().answers);
    const bool first = &trial == &trials.front();
    rows.push_back({trial.name, trial.teacher, trial.top1 ? percent_words(*trial.top1, 1) : "none",
                    text(decimals(100 * share.value(), 1), " ± ", percent_words(share.standard_error(), 1)),
                    first ? "" : points(pair.lead(), pair.standard_error()), first ? "" : p_words(pair.p()),
                    human_bytes(trial.view_bytes),
                    trial.core_ms ? decimals(*trial.core_ms, 1) + " ms" : "not measured"});
  }
  const std::string told = conclusion(trials);
  return table_words(rows) + (told.empty() ? "" : "\n" + told);
}

Json ranking_json(const std::vector<TrialResult>& trials) {
  Json teachers = Json::array();
  for (const TrialResult& trial : trials) {
    const Share share = right_share(trial.answers);
    const PairedAnswers pair = paired(trial.answers, trials.front().answers);
    teachers.push_back({{"name", trial.name},
                        {"config", trial.config},
                        {"teacher", trial.teacher},
                        {"teacher_top1", trial.top1 ? Json(*trial.top1) : Json()},
                        {"student_top1", share.value()},
                        {"student_top1_standard_error", share.standard_error()},
                        {"held_out", share.of},
                        {"against_first",
                         {{"difference", pair.lead()},
                          {"standard_error", pair.standard_error()},
                          {"p", pair.p()},
                          {"told_apart", pair.told_apart()}}},
                        {"bytes_per_view", trial.view_bytes},
                        {"core_ms_per_image", trial.core_ms ? Json(*trial.core_ms) : Json()}});
  }
  const bool told_apart = trials.size() > 1 && paired(trials[0].answers, trials[1].answers).told_apart();
  return {{"format", "vitrine pilot ranking"},
          {"version", 1},
          {"first_two_told_apart", told_apart},
          {"teachers", std::move(teachers)}};
}

}  // namespace vitrine
