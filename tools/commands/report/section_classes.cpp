// Accuracy by class, from evaluation.json.
#include <algorithm>
#include <cmath>
#include <map>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/base/shell.h"
#include "tools/commands/report/page.h"

namespace vitrine {
namespace {

/// A class as the evaluated runs see it.
struct ClassRow {
  std::string name;
  std::uint64_t images = 0;
  std::vector<std::optional<double>> shares;  // one for each run

  double spread() const {
    double low = 1, high = 0;
    for (const auto& share : shares)
      if (share) low = std::min(low, *share), high = std::max(high, *share);
    return high - low;
  }
};

// Rows before the whole table is folded away, of one run in three columns.
constexpr std::size_t kShown = 16, kShownOfOne = 24;

// Runs evaluated on the same images as the first evaluated one.
std::vector<const Run*> comparable(const std::vector<Run>& runs, std::string& others) {
  std::vector<const Run*> out;
  for (const Run& run : runs) {
    if (!run.evaluation || run.evaluation->classes.empty()) continue;
    if (out.empty() ||
        (run.evaluation->folder == out[0]->evaluation->folder && run.evaluation->images == out[0]->evaluation->images))
      out.push_back(&run);
    else
      others += (others.empty() ? "" : ", ") + run.name;
  }
  return out;
}

std::vector<ClassRow> class_rows(const std::vector<const Run*>& runs) {
  std::vector<ClassRow> out;
  std::map<std::string, std::size_t> row_of;
  for (std::size_t r = 0; r < runs.size(); ++r)
    for (const ClassScore& one : runs[r]->evaluation->classes) {
      if (one.images == 0) continue;
      const auto [found, is_new] = row_of.emplace(one.name, out.size());
      if (is_new) out.push_back({one.name, one.images, std::vector<std::optional<double>>(runs.size())});
      out[found->second].shares[r] = one.share();
    }
  if (runs.size() > 1)
    std::ranges::stable_sort(out, [](const auto& a, const auto& b) { return a.spread() > b.spread(); });
  else
    std::ranges::stable_sort(out, [](const auto& a, const auto& b) { return a.shares[0] < b.shares[0]; });
  return out;
}

std::string table_html(const std::vector<const Run*>& runs, const std::vector<ClassRow>& rows, std::size_t count,
                       const std::string& caption) {
  Table table;
  table.caption = escaped(caption);
  table.head = {{"Class"}, {"Images", Cell::Kind::kNumber}};
  for (const Run* run : runs)
    table.head.push_back({runs.size() > 1 ? breakable(run->name) : "Top-1, %", Cell::Kind::kShort});
  for (std::size_t i = 0; i < count; ++i) {
    const ClassRow& row = rows[i];
    std::vector<Cell> cells{{escaped(row.name)}, {human_count(row.images), Cell::Kind::kNumber}};
    double best = 0;
    for (const auto& share : row.shares) best = std::max(best, share.value_or(0));
    for (std::size_t r = 0; r < row.shares.size(); ++r) {
      const auto& share = row.shares[r];
      Cell cell{share ? percent_number(*share, 1) : "\u2013", Cell::Kind::kNumber};
      cell.best = runs.size() > 1 && share && *share == best && row.spread() > 0;
      if (r > 0 && share && row.shares[0]) {
        const double difference = *share - *row.shares[0];
        const std::string size = percent_number(std::abs(difference));
        cell.html += text("<small>",
                          difference > 0   ? "+"
                          : difference < 0 ? "\u2212"
                                           : "\u00b1",
                          size.substr(0, size.size() - 1), "</small>");
      }
      cells.push_back(std::move(cell));
    }
    table.rows.push_back(std::move(cells));
  }
  if (runs.size() > kMostRunsInColumns) return table.html();
  return table.html_in_columns(runs.size() == 1 ? 3 : 2);
}

std::string evaluation_words(const Run& run) {
  const RunEvaluation& evaluation = *run.evaluation;
  std::string out =
      text(run.name, ": ", evaluation.weights, evaluation.about.empty() ? "" : " (" + evaluation.about + ")", " on ",
           human_count(evaluation.images), " images of ", evaluation.folder);
  if (evaluation.top1) out += text(": top-1 ", percent_number(*evaluation.top1), " %");
  if (evaluation.top5) out += text(", top-5 ", percent_number(*evaluation.top5), " %");
  if (evaluation.calibration_error)
    out += text(", calibration error ", percent_number(*evaluation.calibration_error),
                " % (how far its confidence is from its accuracy)");
  if (evaluation.agreement)
    out += text(", agrees with ", evaluation.teacher, " on ", percent_number(*evaluation.agreement), " %");
  if (evaluation.left_out > 0) out += text("; images that could not be read: ", human_count(evaluation.left_out));
  return out;
}

std::string how_to_evaluate(const std::vector<Run>& runs) {
  std::string directories;
  for (const Run& run : runs) directories += text(" ", shell_word(run.directory.string()));
  return "<p>Not evaluated image by image yet. This command runs the student, and the teacher if "
         "targets.teacher.weights "
         "is given, on the test or validation images, and makes this page again: <code>vitrine-report" +
         escaped(directories) + (runs.size() > 1 ? " -o report.html" : "") + " --evaluate</code></p>\n";
}

}  // namespace

Section classes_section(const std::vector<Run>& runs) {
  Section out{"classes", "Classes and pictures", ""};
  if (std::ranges::none_of(runs, [](const Run& run) { return run.evaluation.has_value(); })) {
    out.html = how_to_evaluate(runs);
    return out;
  }
  out.title = "Classes";
  if (runs.size() > 1) out.html += "<div class=\"columns\">\n";
  for (const Run& run : runs)
    if (run.evaluation) out.html += paragraph(evaluation_words(run) + ".", "soft");
  if (runs.size() > 1) out.html += "</div>\n";
  std::string not_evaluated;
  for (const Run& run : runs)
    if (!run.evaluation) not_evaluated += (not_evaluated.empty() ? "" : ", ") + run.name;
  if (!not_evaluated.empty())
    out.html += paragraph("Not evaluated (--evaluate does it): " + not_evaluated + ".", "soft");
  std::string others;
  const std::vector<const Run*> evaluated = comparable(runs, others);
  if (!others.empty())
    out.html += paragraph("Evaluated on other images, and so not in the table: " + others + ".", "soft");
  const std::vector<ClassRow> rows = class_rows(evaluated);
  if (rows.empty()) return out;
  const std::size_t shown = evaluated.size() == 1 ? kShownOfOne : kShown;
  const bool folded = rows.size() > shown + shown / 2;
  const char* order = evaluated.size() > 1 ? "the largest differences between the runs first" : "the lowest first";
  out.html +=
      table_html(evaluated, rows, folded ? shown : rows.size(),
                 text("Top-1 by class, %, ", order, evaluated.size() > 1 ? "; small figures: difference from " : "",
                      evaluated.size() > 1 ? evaluated[0]->name : ""));
  if (folded)
    out.html += text("<details><summary>All ", human_count(rows.size()), " classes</summary>\n",
                     table_html(evaluated, rows, rows.size(), ""), "</details>\n");
  return out;
}

}  // namespace vitrine
