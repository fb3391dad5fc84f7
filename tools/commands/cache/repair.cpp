// vitrine-cache repair: removes what verify finds damaged, and says what to make again.
#include "common/inspect/repair.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/progress.h"
#include "tools/commands/cache/command.h"
#include "tools/commands/cache/findings.h"
#include "tools/commands/cache/words.h"

namespace vitrine {
namespace {

struct Request {
  std::string directory;
  VerifyOptions options;
  bool dry = false, json = false;
};

void print_words(const Request& request, const VerifyReport& report, const RepairPlan& plan) {
  print_findings(report.findings);
  if (report.findings.empty()) std::cout << "nothing is damaged\n";
  if (!plan.unrepairable.empty()) {
    std::cout << "nothing was removed: without its index and plan a cache cannot be repaired; copy index.h5 and "
                 "plan.json from another copy of it\n";
    return;
  }
  for (const auto& [file, json] : plan.restore)
    std::cout << (request.dry ? "would make " : "made ") << file << " again from the copies in its shards\n";
  for (const std::string& file : plan.remove) std::cout << (request.dry ? "would remove " : "removed ") << file << '\n';
  for (const std::string& file : plan.abandoned)
    std::cout << (request.dry ? "would remove " : "removed ") << file << ", which a writer that died left behind\n";
  for (const std::string& directory : plan.relist)
    std::cout << (request.dry ? "would list again what is in " : "listed again what is in ") << directory << '\n';
  for (const Finding& finding : plan.left)
    std::cout << "left alone: " << finding.file << ": " << finding.what << "; " << remedy_words(finding.remedy) << '\n';
  if (plan.gaps.empty() && plan.commands.empty()) return;
  std::cout << "to be made again:\n";
  std::vector<std::vector<std::string>> rows{{"directory", "passes", "shards"}};
  for (const Gap& gap : plan.gaps) {
    std::string shards;
    for (const std::uint64_t number : gap.shards)
      shards.append(shards.empty() ? "" : ", ").append(std::to_string(number));
    rows.push_back({gap.directory, range_words(gap.passes), shards});
  }
  if (rows.size() > 1) print_table(rows);
  std::cout << "by (CONFIG.toml, or CONFIG-TEACHER.toml: the configuration that made the cache, with that teacher; "
               "SOURCE: the cache that a recoded track comes from):\n";
  for (const std::string& command : plan.commands) std::cout << "  " << command << '\n';
}

void print_json(const Request& request, const VerifyReport& report, const RepairPlan& plan) {
  nlohmann::ordered_json out;
  out["dry_run"] = request.dry;
  out["findings"] = findings_json(report.findings);
  out["unrepairable"] = findings_json(plan.unrepairable);
  out["restored"] = nlohmann::ordered_json::array();
  for (const auto& [file, json] : plan.restore) out["restored"].push_back(file);
  out["removed"] = plan.remove;
  out["abandoned"] = plan.abandoned;
  out["listed_again"] = plan.relist;
  out["left"] = findings_json(plan.left);
  out["gaps"] = nlohmann::ordered_json::array();
  for (const Gap& gap : plan.gaps)
    out["gaps"].push_back({{"directory", gap.directory}, {"passes", gap.passes}, {"shards", gap.shards}});
  out["commands"] = plan.commands;
  std::cout << out.dump(2) << '\n';
}

int repair(const Request& request) {
  const VerifyReport report = verify_cache(request.directory, request.options);
  const RepairPlan plan = plan_repair(request.directory, report);
  if (!request.dry && plan.unrepairable.empty()) carry_out(request.directory, plan);
  request.json ? print_json(request, report, plan) : print_words(request, report, plan);
  return report.findings.empty() ? 0 : 1;
}

}  // namespace

void add_repair(CLI::App& app, Body& chosen) {
  const auto request = std::make_shared<Request>();
  CLI::App* command = app.add_subcommand(
      "repair",
      "removes the files that verify finds damaged, never more, makes track.json again from the copies in shards, and "
      "says exactly what to extract again");
  command->add_option("DIR", request->directory, "the cache's directory")->required();
  command->add_option("--track", request->options.tracks, "only this track; may be given again")
      ->expected(1)
      ->take_all();
  command->add_flag("--dry-run", request->dry, "change nothing, only say what would be done");
  command->add_option("--threads", request->options.threads, "files in work at once; 0: one a core")
      ->check(CLI::Range(0, 4096));
  command->add_flag("--json", request->json, "print JSON, for programs");
  command->footer(
      "A damaged index.h5 or plan.json cannot be repaired: then nothing is removed. Temporary files whose writers "
      "died\n"
      "(on other machines: that are a day old) are removed too; they are no damage.\n"
      "Exit codes: 0 nothing was damaged, 1 something was (and is removed, unless --dry-run or it is unrepairable), "
      "2 bad input.");
  command->callback([request, &chosen] { chosen = [request] { return repair(*request); }; });
}

}  // namespace vitrine
