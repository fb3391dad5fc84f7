// The keys in which the runs' configurations differ, and the whole of them.
#include "common/base/error.h"
#include "tools/commands/report/page.h"

namespace vitrine {
namespace {

constexpr std::size_t kLongest = 200;  // characters of a value

std::string value_html(const std::string& value) {
  return value.empty() ? "\u2013" : breakable(shortened(value, kLongest));
}

std::string whole_html(const Run& run) {
  Table table;
  for (const auto& [key, value] : run.configuration) table.rows.push_back({{breakable(key)}, {value_html(value)}});
  return table.html_in_columns(2);
}

std::string differences_html(const std::vector<Run>& runs) {
  std::vector<const Settings*> all;
  Table table;
  table.head = {{"Key"}};
  for (const Run& run : runs)
    if (!run.configuration.empty()) {
      all.push_back(&run.configuration);
      table.head.push_back({breakable(run.name)});
    }
  if (all.size() < 2) return "";
  for (const DifferingSetting& one : differing_settings(all, {"output", "restart", "extend"})) {
    std::vector<Cell> cells{{breakable(one.key)}};
    for (const std::string& value : one.values) cells.push_back({value_html(value)});
    table.rows.push_back(std::move(cells));
  }
  return table.rows.empty() ? paragraph("The configurations are equal, but for the names of the runs.") : table.html();
}

}  // namespace

Section configuration_section(const std::vector<Run>& runs) {
  Section out{"configuration", runs.size() > 1 ? "Differences of configuration" : "Configuration", ""};
  out.html = differences_html(runs);
  for (const Run& run : runs) {
    if (run.configuration.empty()) continue;
    out.html +=
        text("<details><summary>All ", run.configuration.size(), " keys",
             runs.size() > 1 ? " of " + escaped(run.name) : "", "</summary>\n", whole_html(run), "</details>\n");
  }
  return out;
}

}  // namespace vitrine
