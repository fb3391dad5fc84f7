#include "tools/commands/cache/findings.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <ranges>

#include "common/base/counted.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {
constexpr std::size_t kShown = 40;
}

void print_findings(const std::vector<Finding>& findings) {
  if (findings.empty()) return;
  std::vector<std::vector<std::string>> rows{{"file", "dataset", "group", "what", "what to do"}};
  for (const Finding& finding : findings | std::views::take(kShown))
    rows.push_back({finding.file, finding.dataset, finding.group < 0 ? "" : std::to_string(finding.group), finding.what,
                    std::string(remedy_words(finding.remedy))});
  print_table(rows);
  if (findings.size() > kShown) std::cout << "  and " << findings.size() - kShown << " more; --json prints all\n";
}

nlohmann::ordered_json findings_json(const std::vector<Finding>& findings) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    nlohmann::ordered_json entry;
    entry["file"] = finding.file;
    entry["dataset"] = finding.dataset.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(finding.dataset);
    entry["group"] = finding.group < 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(finding.group);
    entry["what"] = finding.what;
    entry["remedy"] = remedy_name(finding.remedy);
    out.push_back(entry);
  }
  return out;
}

void print_set_aside(const std::vector<std::string>& files) {
  if (files.empty()) return;
  std::cout << counted(files.size(), "file that was", "files that were")
            << " set aside as damaged; delete when the cache is complete: " << files[0]
            << (files.size() > 1 ? " and others of such names" : "") << '\n';
}

}  // namespace vitrine
