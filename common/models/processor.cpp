#include "common/models/processor.h"

#include <ATen/Version.h>

#include <sys/utsname.h>
#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string_view>

#include "common/base/error.h"

namespace vitrine {
namespace {

/// From the flags of the first processor in /proc/cpuinfo, which ARM's kernels call features.
std::vector<std::string> listed_instruction_sets() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || !(line.starts_with("flags") || line.starts_with("Features"))) continue;
    std::istringstream words(line.substr(colon + 1));
    std::vector<std::string> out;
    for (std::string word; words >> word;) out.push_back(word);
    return out;
  }
  return {};
}

/// Levels of one kind of machine, each of which includes the former. -1: another kind, which runs only its own.
int level_of(std::string_view capability) {
  constexpr std::array<std::string_view, 3> kLevels{"DEFAULT", "AVX2", "AVX512"};
  const auto found = std::ranges::find(kLevels, capability);
  return found == kLevels.end() ? -1 : static_cast<int>(found - kLevels.begin());
}

bool capable_of(const std::string& needed, const std::string& here) {
  return needed == here || (level_of(needed) >= 0 && level_of(needed) <= level_of(here));
}

}  // namespace

Processor this_processor() {
  Processor out;
  utsname system{};
  if (uname(&system) == 0) out.machine = system.machine;
  out.capability = at::get_cpu_capability();
  out.instruction_sets = listed_instruction_sets();
  return out;
}

std::string unmet_needs(const Processor& needed, const Processor& here) {
  if (needed.machine != here.machine) return text(needed.machine, ", but this processor is ", here.machine);
  if (!capable_of(needed.capability, here.capability))
    return text(needed.capability, ", but this processor has ", here.capability,
                " (LibTorch's level, which ATEN_CPU_CAPABILITY lowers)");
  std::string lacking;
  for (const std::string& set : needed.instruction_sets)
    if (std::ranges::find(here.instruction_sets, set) == here.instruction_sets.end())
      lacking += text(lacking.empty() ? "" : ", ", set);
  return lacking.empty() ? "" : text("a processor with ", lacking, ", which this one lacks");
}

}  // namespace vitrine
