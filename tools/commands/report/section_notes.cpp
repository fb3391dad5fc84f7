// What the runs found out about their learning, and what this page had to leave out.
#include <algorithm>
#include <set>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "tools/commands/report/page.h"

namespace vitrine {
namespace {

std::string list_item(const std::string& words) {
  return "<li>" + escaped(words) + "</li>\n";
}

// Runs report the same things epoch after epoch: the last sentence of each kind, in order.
std::vector<LearningNote> last_of_each_kind(const std::vector<LearningNote>& findings) {
  std::vector<LearningNote> out;
  std::set<std::string> seen;
  for (auto finding = findings.rbegin(); finding != findings.rend(); ++finding)
    if (seen.insert(finding->kind).second) out.push_back(*finding);
  std::ranges::reverse(out);
  return out;
}

std::string list_html(const std::vector<LearningNote>& findings) {
  std::string out;
  for (const LearningNote& finding : findings) {
    const std::string where = text(finding.phase.empty() ? "" : finding.phase + ", ", "epoch ",
                                   human_count(finding.epoch), ", step ", human_count(finding.step));
    out += text("<li>", finding.problem ? "<strong>Warning:</strong> " : "", escaped(finding.sentence),
                " <span class=\"soft\">(", escaped(where), ")</span></li>\n");
  }
  return out;
}

std::string all_html(const std::vector<LearningNote>& findings) {
  return text("<details><summary>All ", human_count(findings.size()), " findings</summary>\n<ul class=\"notes\">\n",
              list_html(findings), "</ul></details>\n");
}

std::string notes_html(const Run& run, const std::vector<LearningNote>& shown, const std::vector<Run>& runs) {
  std::string out;
  if (const auto gain = gain_over_labels(run, runs))
    out += text("<li>", gain->problem ? "<strong>Warning:</strong> " : "", escaped(gain->sentence), "</li>\n");
  out += list_html(shown);
  if (run.summary)
    for (const std::string& remark : run.summary->remarks) out += list_item(remark);
  if (run.metrics.skipped_updates > 0)
    out += list_item(text("The gradient scaler skipped ", human_count(run.metrics.skipped_updates), " updates."));
  for (const std::string& problem : run.problems) out += list_item(problem);
  return out;
}

}  // namespace

Section notes_section(const std::vector<Run>& runs) {
  std::string html;
  for (const Run& run : runs) {
    const std::vector<LearningNote>& all = run.metrics.findings;
    const std::vector<LearningNote> shown = last_of_each_kind(all);
    const std::string own = notes_html(run, shown, runs);
    if (own.empty()) continue;
    if (runs.size() > 1) html += "<div><h3>" + escaped(run.name) + "</h3>\n";
    html += "<ul class=\"notes\">\n" + own + "</ul>\n";
    if (shown.size() < all.size()) html += all_html(all);
    if (runs.size() > 1) html += "</div>\n";
  }
  if (runs.size() > 1 && !html.empty()) html = "<div class=\"columns\">\n" + html + "</div>\n";
  return {"notes", "Notes", html};
}

}  // namespace vitrine
