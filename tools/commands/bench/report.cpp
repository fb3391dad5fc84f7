#include "tools/commands/bench/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>

#include "common/base/digits.h"
#include "common/base/progress.h"

namespace vitrine {

std::string figure(double value) {
  if (std::fabs(value) >= 1000) return human_count(static_cast<std::uint64_t>(std::llround(value)));
  return decimals(value, value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

std::string in_percent(double share) {
  return figure(100 * share) + " %";
}

void print_report(const std::string& title, const std::vector<ReportLine>& lines) {
  using Row = std::array<std::string, 5>;
  std::vector<Row> rows{{"", "figure", "against", "ratio", "bar"}};
  for (const ReportLine& line : lines) rows.push_back({line.what, line.figure, line.against, line.ratio, line.bar});
  std::array<std::size_t, 5> width{};
  for (const Row& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
  std::printf("%s\n", title.c_str());
  for (const Row& row : rows) {
    std::string words;
    for (std::size_t c = 0; c < row.size(); ++c) words += row[c] + std::string(width[c] - row[c].size() + 2, ' ');
    words.erase(words.find_last_not_of(' ') + 1);
    std::printf("%s\n", words.c_str());
  }
  std::fflush(stdout);
}

namespace {

double seconds_on(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

double thread_seconds() {
  return seconds_on(CLOCK_THREAD_CPUTIME_ID);
}

double process_seconds() {
  return seconds_on(CLOCK_PROCESS_CPUTIME_ID);
}

}  // namespace vitrine
