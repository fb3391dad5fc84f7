// What the runs found out about their learning, and what this page had to leave out.
#include "common/base/error.h"
#include "common/base/progress.h"
#include "tools/commands/report/page.h"

namespace vitrine {
namespace {

std::string list_item(const std::string& words) {
  return "<li>" + escaped(words) + "</li>\n";
}

std::string findings_html(const Run& run) {
  std::string out;
  for (const Finding& finding : run.metrics.findings) {
    const std::string where = text(finding.phase.empty() ? "" : finding.phase + ", ", "epoch ",
                                   human_count(finding.epoch), ", step ", human_count(finding.step));
    for (const std::string& sentence : finding.sentences)
      out += "<li>" + escaped(sentence) + " <span class=\"soft\">(" + escaped(where) + ")</span></li>\n";
  }
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
    const std::string own = findings_html(run);
    if (own.empty()) continue;
    if (runs.size() > 1) html += "<h3>" + escaped(run.name) + "</h3>\n";
    html += "<ul class=\"notes\">\n" + own + "</ul>\n";
  }
  return {"notes", "Notes", html};
}

}  // namespace vitrine
