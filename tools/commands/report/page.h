// The page of one run, or of several, side by side.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_PAGE_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_PAGE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "tools/commands/report/html.h"
#include "tools/commands/report/run.h"

namespace vitrine {

/// The whole file: HTML without scripts that refers to nothing outside itself, and is well-formed XML too. A function
/// of the runs. At least one run.
std::string page_html(const std::vector<Run>& runs);

/// The parts of the page, each in its own file (section_*.cpp). An empty html: there is nothing to show.
Section result_section(const std::vector<Run>& runs);
Section curves_section(const std::vector<Run>& runs);
Section classes_section(const std::vector<Run>& runs);
Section pictures_section(const std::vector<Run>& runs);
Section cache_section(const std::vector<Run>& runs);
Section configuration_section(const std::vector<Run>& runs);
Section notes_section(const std::vector<Run>& runs);

/// One sentence or two on how the runs ended. Escaped.
std::string lead_html(const std::vector<Run>& runs);

/// The figures by which runs are compared: on the test or validation images, as summary.json or else the validations
/// say.
struct Score {
  double value = 0;       ///< in [0, 1]
  const char* what = "";  ///< "top-1", "agreement with the teacher"
  std::string on;         ///< "the 2,000 test images", "the validation images"
  ImagesRecord images;    ///< these
};
std::optional<Score> score_of(const Run& run);

/// What a run with a teacher gained over the best of `runs` that learned from labels alone, as far as both were
/// measured on the same images and are the same network at the same size. Nothing where there is none.
std::optional<LearningNote> gain_over_labels(const Run& run, const std::vector<Run>& runs);

/// A table of so many runs leaves room for a second one beside it; that of more has the page's width.
inline constexpr std::size_t kMostRunsInColumns = 3;

/// "61.20" for 0.612; "61.2" with one decimal.
std::string percent_number(double share, int digits = 2);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_PAGE_H_
