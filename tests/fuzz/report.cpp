// The files of a run that a page is made from: any bytes give a page without scripts whose elements are closed, or an
// Error. The first byte chooses the file.
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/base/error.h"
#include "tests/faults/shards.h"
#include "tests/fuzz/cases.h"
#include "tests/fuzz/target.h"
#include "tools/commands/report/run_evaluation.h"
#include "tools/commands/report/page.h"

namespace {

using namespace vitrine;
using namespace vitrine::testing;

/// A run's directory that holds the input under one name, and a summary, which makes it a run.
struct ReportRun {
  explicit ReportRun(const char* name) : file(name) {
    const std::filesystem::path directory = file.hold("");
    if (!path_exists(directory / "summary.json")) write_whole(directory / "summary.json", "{}");
  }
  OneFile file;
};

std::size_t occurrences(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; at += part.size()) ++count;
  return count;
}

void expect_closed(const std::string& page) {
  if (occurrences(page, "<script") > 0) std::abort();
  for (const char* tag : {"section", "table", "tr", "svg", "figure", "details", "small", "ul", "title"})
    if (occurrences(page, text('<', tag, '>')) + occurrences(page, text('<', tag, ' ')) !=
        occurrences(page, text("</", tag, '>')))
      std::abort();
}

}  // namespace

FUZZ_TARGET(report) {
  static std::array<ReportRun, kReportCases> runs{ReportRun("metrics.jsonl"), ReportRun("summary.json"),
                                                  ReportRun("config.toml"), ReportRun("evaluation.json")};
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  ReportRun& run = runs[take_byte(rest) % kReportCases];
  try {
    expect_closed(page_html(read_runs({run.file.hold(std::string(rest)).string()})));
  } catch (const Error&) {
  }
  return 0;
}
