#include "common/base/processor_load.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "common/base/digits.h"

namespace vitrine {
namespace {

// Below it a measurement varies as much by itself.
constexpr double kNoticed = 0.1;

std::vector<int> usable_processors() {
  std::vector<int> out;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return out;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) out.push_back(i);
  return out;
}

// Seconds since the start of the system that these processors were not idle; 0 if unknown.
double busy_seconds(const std::vector<int>& processors) {
  constexpr int kFields = 8, kIdle = 3, kWaiting = 4;  // user nice system idle iowait irq softirq steal
  std::ifstream stat("/proc/stat");
  double ticks = 0;
  for (std::string line; std::getline(stat, line) && line.starts_with("cpu");) {
    std::istringstream words(line.substr(3));
    int number = -1;
    if (line.starts_with("cpu ") || !(words >> number) || std::ranges::find(processors, number) == processors.end())
      continue;
    double value = 0;
    for (int i = 0; i < kFields && words >> value; ++i)
      if (i != kIdle && i != kWaiting) ticks += value;
  }
  return ticks / static_cast<double>(std::max(1L, sysconf(_SC_CLK_TCK)));
}

// Of this process and of those that it started and that have ended.
double own_seconds() {
  double out = 0;
  for (const int whose : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    if (getrusage(whose, &used) != 0) continue;
    for (const timeval& time : {used.ru_utime, used.ru_stime})
      out += static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  }
  return out;
}

}  // namespace

OtherPrograms::OtherPrograms()
    : processors_(usable_processors()),
      start_(std::chrono::steady_clock::now()),
      busy_(busy_seconds(processors_)),
      own_(own_seconds()) {}

double OtherPrograms::share() const {
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double all = wall * static_cast<double>(processors_.size());
  const double others = busy_seconds(processors_) - busy_ - (own_seconds() - own_);
  return all > 0 ? std::clamp(others / all, 0.0, 1.0) : 0;
}

std::string uncertain_words(double share) {
  if (share < kNoticed) return {};
  return "uncertain: other programs took " + decimals(100 * share, 0) + " % of the processors meanwhile";
}

}  // namespace vitrine
