// The pictures on which the student's loss is largest, with what teacher and student look at.
#include <algorithm>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "tools/commands/report/page.h"

namespace vitrine {
namespace {

constexpr std::size_t kAlone = 24, kBesideOthers = 6;  // pictures of a run on a page

std::string answer_words(const std::vector<Answer>& answers) {
  std::string out;
  for (std::size_t i = 0; i < std::min<std::size_t>(answers.size(), 2); ++i)
    out += text(i > 0 ? ", " : "", answers[i].name, " ", decimals(100 * answers[i].probability, 0), "\u202f%");
  return out;
}

std::string picture_html(const std::string& uri, const std::string& what, const HardPicture& one) {
  if (uri.empty()) return "";
  return "<div><img src=\"" + uri + "\" alt=\"" + escaped(text(what, " of ", one.id)) + "\"/><span>" + escaped(what) +
         "</span></div>";
}

std::string item_html(const HardPicture& one) {
  std::string out = "<li><div class=\"row\">" + picture_html(one.picture, "Picture", one) +
                    picture_html(one.teacher_map, "Teacher\u2019s attention", one) +
                    picture_html(one.student_map, "Student\u2019s Grad-CAM", one) + "</div><p>";
  if (!one.label.empty()) out += "<b>" + escaped(one.label) + "</b>. ";
  out += escaped("Student: " + answer_words(one.student) + ".");
  if (!one.teacher.empty()) out += escaped(" Teacher: " + answer_words(one.teacher) + ".");
  return out + text(" Loss ", decimals(one.loss, 2), ".<small>") + escaped(one.id) + "</small></p></li>\n";
}

}  // namespace

Section pictures_section(const std::vector<Run>& runs) {
  Section out{"pictures", "Hardest pictures", ""};
  for (const Run& run : runs) {
    if (!run.evaluation || run.evaluation->hardest.empty()) continue;
    if (runs.size() > 1) out.html += "<h3>" + escaped(run.name) + "</h3>\n";
    const std::vector<HardPicture>& hardest = run.evaluation->hardest;
    const std::size_t count = std::min(hardest.size(), runs.size() > 1 ? kBesideOthers : kAlone);
    out.html +=
        paragraph(text("The ", count, " pictures of ", run.evaluation->folder, " with the largest loss (",
                       run.evaluation->loss_of, "). Grad-CAM marks what the student\u2019s own answer rests on."),
                  "soft");
    out.html += "<ol class=\"pictures\">\n";
    for (std::size_t i = 0; i < count; ++i) out.html += item_html(hardest[i]);
    out.html += "</ol>\n";
  }
  return out;
}

}  // namespace vitrine
