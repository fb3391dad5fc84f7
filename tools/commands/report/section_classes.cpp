// Accuracy by class, from judgement.json.
#include <algorithm>
#include <cmath>
#include <map>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "tools/commands/report/page.h"

namespace vitrine {
namespace {

/// A class as the judged runs see it.
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

// Runs judged on the same images as the first judged one.
std::vector<const Run*> comparable(const std::vector<Run>& runs, std::string& others) {
  std::vector<const Run*> out;
  for (const Run& run : runs) {
    if (!run.judgement || run.judgement->classes.empty()) continue;
    if (out.empty() ||
        (run.judgement->folder == out[0]->judgement->folder && run.judgement->images == out[0]->judgement->images))
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
    for (const JudgedClass& one : runs[r]->judgement->classes) {
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
  return runs.size() == 1 ? table.html_in_columns(3) : runs.size() == 2 ? table.html_in_columns(2) : table.html();
}

std::string judged_words(const Run& run) {
  const Judgement& judgement = *run.judgement;
  std::string out = text(run.name, ": ", judgement.weights, judgement.about.empty() ? "" : " (" + judgement.about + ")",
                         " on ", human_count(judgement.images), " images of ", judgement.folder);
  if (judgement.top1) out += text(": top-1 ", percent_number(*judgement.top1), " %");
  if (judgement.top5) out += text(", top-5 ", percent_number(*judgement.top5), " %");
  if (judgement.calibration_error)
    out += text(", calibration error ", percent_number(*judgement.calibration_error),
                " % (how far its confidence is from its accuracy)");
  if (judgement.agreement)
    out += text(", agrees with ", judgement.teacher, " on ", percent_number(*judgement.agreement), " %");
  if (judgement.left_out > 0) out += text("; images that could not be read: ", human_count(judgement.left_out));
  return out;
}

std::string how_to_judge(const std::vector<Run>& runs) {
  std::string directories;
  for (const Run& run : runs) directories += " " + run.directory.string();
  return "<p>Not judged image by image yet. This command runs the student, and the teacher if targets.teacher.weights "
         "is given, on the test or validation images, and makes this page again: <code>vitrine-report" +
         escaped(directories) + (runs.size() > 1 ? " -o report.html" : "") + " --judge</code></p>\n";
}

}  // namespace

Section classes_section(const std::vector<Run>& runs) {
  Section out{"classes", "Classes and pictures", ""};
  if (std::ranges::none_of(runs, [](const Run& run) { return run.judgement.has_value(); })) {
    out.html = how_to_judge(runs);
    return out;
  }
  out.title = "Classes";
  if (runs.size() > 1) out.html += "<div class=\"columns\">\n";
  for (const Run& run : runs)
    if (run.judgement) out.html += paragraph(judged_words(run) + ".", "soft");
  if (runs.size() > 1) out.html += "</div>\n";
  std::string unjudged;
  for (const Run& run : runs)
    if (!run.judgement) unjudged += (unjudged.empty() ? "" : ", ") + run.name;
  if (!unjudged.empty()) out.html += paragraph("Not judged (--judge does it): " + unjudged + ".", "soft");
  std::string others;
  const std::vector<const Run*> judged = comparable(runs, others);
  if (!others.empty())
    out.html += paragraph("Judged on other images, and so not in the table: " + others + ".", "soft");
  const std::vector<ClassRow> rows = class_rows(judged);
  if (rows.empty()) return out;
  const std::size_t shown = judged.size() == 1 ? kShownOfOne : kShown;
  const bool folded = rows.size() > shown + shown / 2;
  const char* order = judged.size() > 1 ? "the largest differences between the runs first" : "the lowest first";
  out.html +=
      table_html(judged, rows, folded ? shown : rows.size(),
                 text("Top-1 by class, %, ", order, judged.size() > 1 ? "; small figures: difference from " : "",
                      judged.size() > 1 ? judged[0]->name : ""));
  if (folded)
    out.html += text("<details><summary>All ", human_count(rows.size()), " classes</summary>\n",
                     table_html(judged, rows, rows.size(), ""), "</details>\n");
  return out;
}

}  // namespace vitrine
