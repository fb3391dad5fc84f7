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

/// A sentence, and where it was found.
struct Note {
  std::string sentence, where;
};

std::vector<Note> notes_of(const Run& run) {
  std::vector<Note> out;
  for (const Finding& finding : run.metrics.findings)
    for (const std::string& sentence : finding.sentences)
      out.push_back({sentence, text(finding.phase.empty() ? "" : finding.phase + ", ", "epoch ",
                                    human_count(finding.epoch), ", step ", human_count(finding.step))});
  return out;
}

// Runs report the same things epoch after epoch: the last sentence of each kind, in order. Sentences are of one kind if
// they differ in numbers only.
std::vector<Note> last_of_each_kind(const std::vector<Note>& notes) {
  std::vector<Note> out;
  std::set<std::string> seen;
  for (auto note = notes.rbegin(); note != notes.rend(); ++note) {
    std::string kind;
    for (const char c : note->sentence)
      if ((c < '0' || c > '9') && c != '.') kind += c;
    if (seen.insert(kind).second) out.push_back(*note);
  }
  std::ranges::reverse(out);
  return out;
}

std::string list_html(const std::vector<Note>& notes) {
  std::string out;
  for (const Note& note : notes)
    out += "<li>" + escaped(note.sentence) + " <span class=\"soft\">(" + escaped(note.where) + ")</span></li>\n";
  return out;
}

std::string all_html(const std::vector<Note>& notes) {
  return text("<details><summary>All ", human_count(notes.size()), " findings</summary>\n<ul class=\"notes\">\n",
              list_html(notes), "</ul></details>\n");
}

std::string notes_html(const Run& run, const std::vector<Note>& shown) {
  std::string out = list_html(shown);
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
    const std::vector<Note> all = notes_of(run), shown = last_of_each_kind(all);
    const std::string own = notes_html(run, shown);
    if (own.empty()) continue;
    if (runs.size() > 1) html += "<h3>" + escaped(run.name) + "</h3>\n";
    html += "<ul class=\"notes\">\n" + own + "</ul>\n";
    if (shown.size() < all.size()) html += all_html(all);
  }
  return {"notes", "Notes", html};
}

}  // namespace vitrine
