// vitrine-cache repair: sets aside files that verify finds damaged, and prints the commands that make them again.
#include "tools/inspect/repair.h"

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/json_text.h"
#include "common/base/progress.h"
#include "tools/commands/cache/command.h"
#include "tools/commands/cache/findings.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {

struct RepairRequest {
  std::string directory;
  VerifyOptions options;
  bool dry = false, json = false;
};

// The new name of each file that was set aside.
using Renamed = std::map<std::string, std::string>;

void print_unrepairable(const RepairPlan& plan) {
  const bool damaged =
      std::ranges::any_of(plan.unrepairable, [](const Finding& f) { return f.remedy == Remedy::kCopy; });
  std::cout << "nothing was changed: without its index and plan a cache cannot be repaired; "
            << (damaged ? "copy index.h5 and plan.json from another copy of it"
                        : remedy_words(plan.unrepairable[0].remedy))
            << '\n';
}

void print_words(const RepairRequest& request, const VerifyReport& report, const RepairPlan& plan,
                 const Renamed& renamed) {
  print_findings(report.findings);
  if (report.findings.empty()) std::cout << "nothing is damaged\n";
  if (!plan.unrepairable.empty()) return print_unrepairable(plan);
  for (const auto& [file, json] : plan.restore)
    std::cout << (request.dry ? "would rebuild " : "rebuilt ") << file << " from the copies in its shards\n";
  if (request.dry)
    for (const std::string& file : plan.set_aside) std::cout << "would set aside " << file << '\n';
  for (const auto& [file, name] : renamed) std::cout << "set aside " << file << " as " << name << '\n';
  for (const std::string& file : plan.abandoned)
    std::cout << (request.dry ? "would remove " : "removed ") << file << ", left behind by a writer that died\n";
  for (const std::string& directory : plan.relist)
    std::cout << (request.dry ? "would rebuild shards.json of " : "rebuilt shards.json of ") << directory << '\n';
  for (const Finding& finding : plan.left)
    std::cout << "left alone: " << finding.file << ": " << finding.what << "; " << remedy_words(finding.remedy) << '\n';
  if (plan.gaps.empty() && plan.commands.empty()) return;
  std::cout << "gaps to fill:\n";
  std::vector<std::vector<std::string>> rows{{"directory", "passes", "shards"}};
  for (const Gap& gap : plan.gaps) {
    std::string shards;
    for (const std::uint64_t number : gap.shards)
      shards.append(shards.empty() ? "" : ", ").append(std::to_string(number));
    rows.push_back({gap.directory, range_words(gap.passes), shards});
  }
  if (rows.size() > 1) print_table(rows);
  for (const std::string& directory : plan.rewritten) std::cout << write_again(directory) << '\n';
  if (plan.commands.empty()) return;
  std::cout << "with these commands (CONFIG.toml, or CONFIG-TEACHER.toml: the configuration of the extraction with "
               "that teacher; SOURCE: the cache that a recoded track was made from):\n";
  for (const std::string& command : plan.commands) std::cout << "  " << command << '\n';
}

void print_json(const RepairRequest& request, const VerifyReport& report, const RepairPlan& plan,
                const Renamed& renamed) {
  nlohmann::ordered_json out;
  out["dry_run"] = request.dry;
  out["findings"] = findings_json(report.findings);
  out["unrepairable"] = findings_json(plan.unrepairable);
  out["restored"] = nlohmann::ordered_json::array();
  for (const auto& [file, json] : plan.restore) out["restored"].push_back(file);
  out["set_aside"] = nlohmann::ordered_json::object();  // with the new names, unless nothing was done
  for (const std::string& file : plan.set_aside) out["set_aside"][file] = nullptr;
  for (const auto& [file, name] : renamed) out["set_aside"][file] = name;
  out["abandoned"] = plan.abandoned;
  out["listed_again"] = plan.relist;
  out["left"] = findings_json(plan.left);
  out["gaps"] = nlohmann::ordered_json::array();
  for (const Gap& gap : plan.gaps)
    out["gaps"].push_back({{"directory", gap.directory}, {"passes", gap.passes}, {"shards", gap.shards}});
  out["commands"] = plan.commands;
  out["write_again"] = plan.rewritten;
  std::cout << json_text(out);
}

int repair(const RepairRequest& request) {
  const VerifyReport report = verify_cache(request.directory, request.options);
  const RepairPlan plan = plan_repair(request.directory, report);
  Renamed renamed;
  if (!request.dry && plan.unrepairable.empty()) renamed = carry_out(request.directory, plan);
  request.json ? print_json(request, report, plan, renamed) : print_words(request, report, plan, renamed);
  return exit_code(report.findings);
}

}  // namespace

void add_repair(CommandLine& line, Body& chosen) {
  const auto request = std::make_shared<RepairRequest>();
  CommandLine& command =
      line.add_subcommand("repair",
                          "renames files that verify finds damaged to NAME.damaged, rebuilds track.json from the "
                          "copies in shards, and prints the commands that fill the gaps");
  command.add_option("DIR", request->directory, "the cache's directory").required();
  command.add_option("--track", request->options.tracks, "only this track; repeatable").repeatable();
  command.add_dry_run(request->dry, "print what would be done");
  command.add_option("--threads", request->options.threads, "files checked at once; 0: one per core").range(0, 4096);
  command.add_flag("--json", request->json, "print JSON, for programs");
  command.footer(
      "Files that cannot be read, or are of a newer version of vitrine, do not count as damaged and stay in place.\n"
      "If index.h5 or plan.json is damaged, the cache cannot be repaired, and nothing is changed. Temporary files\n"
      "whose writers died (or that are a day old) are removed; they are not damage. Files that were set aside may\n"
      "be deleted when the cache is complete again.\n"
      "Exit codes: 0 nothing was damaged, 1 something was (and is set aside, unless --dry-run or it is unrepairable),\n"
      "2 bad input; if nothing is damaged, 3 something could not be read, 5 something was written by a newer version;\n"
      "others as vitrine-cache --help says.");
  command.callback([request, &chosen] { chosen = [request] { return repair(*request); }; });
}

}  // namespace vitrine
