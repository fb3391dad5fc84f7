// Output of benchmarks: a figure, its peer or limit, their ratio, and the required ratio.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_REPORT_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_REPORT_H_

#include <string>
#include <vector>

namespace vitrine {

/// "12.3", "1,234": only significant digits.
std::string figure(double value);
/// "12.3 %" of a share of 0.123.
std::string in_percent(double share);

struct ReportLine {
  std::string what, figure;
  std::string against;               ///< the peer or limit and its figure; may be empty
  std::string ratio = {}, bar = {};  ///< "84 %" and ">= 80 %"
};

/// Prints the lines as a table on standard output, under one line of `title`.
void print_report(const std::string& title, const std::vector<ReportLine>& lines);

/// CPU seconds used by the calling thread, and by all threads of the process.
double thread_seconds();
double process_seconds();

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_REPORT_H_
