// vitrine-cache verify: looks at every byte.
#include "tools/inspect/verify.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "tools/commands/cache/command.h"
#include "tools/commands/cache/deep_report.h"
#include "tools/commands/cache/findings.h"
#include "tools/commands/cache/words.h"
#include "tools/inspect/loss_summary.h"

namespace vitrine {
namespace {

struct Request {
  std::string directory;
  VerifyOptions options;
  DeepRequest deep;
  DeepCheck deep_check;
  bool json = false;
};

void check_request(const Request& request) {
  if (request.deep.views > 0 && (request.options.images.empty() || request.deep.weights.empty()))
    fail("--deep asks the teacher again: it needs --images and --weights as well");
  if (request.deep.views == 0 && !request.deep.weights.empty())
    fail("--weights is for --deep N, which says how many views to ask the teacher for");
}

// A damaged index or plan, without which no view can be made again.
const Finding* stops_deep(const std::vector<Finding>& findings) {
  const auto found = std::ranges::find_if(
      findings, [](const Finding& finding) { return finding.file == "index.h5" || finding.file == "plan.json"; });
  return found == findings.end() ? nullptr : &*found;
}

DeepReport run_deep(const Request& request, const std::vector<Finding>& findings) {
  if (const Finding* damage = stops_deep(findings)) return {{}, text(damage->file, " ", damage->what)};
  DeepRequest ask = request.deep;
  ask.images = {request.options.images, request.options.unlabelled};
  ask.tracks = request.options.tracks;
  ask.findings = findings;
  return {request.deep_check(Cache(request.directory), ask), ""};
}

nlohmann::ordered_json incomplete_json(const std::vector<IncompletePass>& incomplete) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const IncompletePass& pass : incomplete)
    out.push_back({{"directory", pass.directory},
                   {"pass", pass.pass},
                   {"missing_shards", pass.missing},
                   {"shards", pass.shards}});
  return out;
}

// A row a directory.
void print_incomplete(const std::vector<IncompletePass>& incomplete) {
  if (incomplete.empty()) return;
  std::vector<std::vector<std::string>> rows{{"incomplete", "passes", "shards missing"}};
  for (std::size_t i = 0, next; i < incomplete.size(); i = next) {
    std::vector<std::uint32_t> passes;
    std::uint64_t missing = 0, shards = 0;
    for (next = i; next < incomplete.size() && incomplete[next].directory == incomplete[i].directory; ++next) {
      passes.push_back(incomplete[next].pass);
      missing += incomplete[next].missing, shards += incomplete[next].shards;
    }
    rows.push_back(
        {incomplete[i].directory, range_words(passes), text(human_count(missing), " of ", human_count(shards))});
  }
  print_table(rows);
  std::cout << "an extraction is running, was stopped, or its shards went; vitrine-extract makes those that are "
               "missing, and readers take whole passes alone\n";
}

std::string verdict_words(const VerifyReport& report) {
  if (!report.findings.empty()) return human_count(report.findings.size()) + " findings";
  return report.incomplete.empty() ? "all is well" : "what is there is well, but passes are incomplete";
}

int verify(const Request& request) {
  check_request(request);
  const VerifyReport report = verify_cache(request.directory, request.options);
  DeepReport deep;
  if (request.deep.views > 0) deep = run_deep(request, report.findings);
  const bool beyond =
      std::ranges::any_of(deep.results, [](const DeepResult& r) { return r.verdict == Verdict::kBeyond; });
  if (request.json) {
    nlohmann::ordered_json out;
    out["files"] = report.files;
    out["bytes"] = report.bytes;
    out["groups"] = report.groups;
    out["pictures"] = report.pictures;
    out["views_left_out"] = report.left_out;
    out["unlisted"] = report.unlisted;
    out["set_aside"] = report.set_aside;
    out["findings"] = findings_json(report.findings);
    out["incomplete"] = incomplete_json(report.incomplete);
    if (request.deep.views > 0) out["deep"] = deep_json(deep.results);
    if (!deep.not_run.empty()) out["deep_not_run"] = deep.not_run;
    std::cout << out.dump(2) << '\n';
  } else {
    print_findings(report.findings);
    std::cout << human_count(report.files) << " files, " << human_bytes(static_cast<double>(report.bytes)) << ", "
              << human_count(report.groups) << " groups of targets decoded";
    if (report.left_out > 0) std::cout << ", " << human_count(report.left_out) << " views left out";
    if (!request.options.images.empty()) std::cout << ", " << human_count(report.pictures) << " pictures made again";
    std::cout << ": " << verdict_words(report) << '\n';
    print_incomplete(report.incomplete);
    if (report.unlisted > 0)
      std::cout << human_count(report.unlisted)
                << " files are not listed in shards.json yet, as a running or broken extraction leaves them\n";
    print_set_aside(report.set_aside);
    print_deep(deep);
    if (beyond) std::cout << "the cache does not hold what this teacher gives for these images\n";
  }
  return beyond ? 1 : exit_code(report.findings);
}

}  // namespace

void add_verify(CLI::App& app, Body& chosen, DeepCheck deep) {
  const auto request = std::make_shared<Request>();
  request->deep_check = std::move(deep);
  CLI::App* command = app.add_subcommand(
      "verify", "reads every byte: tables, frames, shapes, finite values, recipes, listed files, and HDF5's own view");
  command->add_option("DIR", request->directory, "the cache's directory")->required();
  command
      ->add_option("--track", request->options.tracks,
                   "only this track (logits, TEACHER.xxxxxxxx/logits); may be given again")
      ->expected(1)
      ->take_all();
  command->add_option("--images", request->options.images, "the folder of images: makes a view of every group again");
  command->add_option("--unlabelled", request->options.unlabelled,
                      "the folder of its further images, which have no labels");
  command
      ->add_option("--deep", request->deep.views,
                   "also run a sample of so many views of each track (whole groups) through the teacher again")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}));
  command->add_option("--weights", request->deep.weights, "the teacher's weights, for --deep");
  command->add_option("--device", request->deep.device,
                      "for --deep: cpu, cuda or cuda:N; left out: the kind that made the cache");
  command->add_option("--threads", request->options.threads, "files in work at once; 0: one per core")
      ->check(CLI::Range(0, 4096));
  command->add_flag("--json", request->json, "print JSON, for programs");
  command->footer(
      "--deep takes the teacher's settings from the track's provenance and leaves out what is damaged. A group may "
      "differ\n"
      "from what the track's codec makes of the teacher's values now by what arithmetic differs between machines, and "
      "from\n"
      "the values themselves by what the codec may lose: shares of the energy, and for attention the largest total "
      "variation\n"
      "of a head. A track without a difference was recoded from a transform, and is held against all bounds together.\n"
      "Exit codes: 0 all is well, 1 something is wrong (the table says what) or the teacher gives something else, 2 "
      "bad\n"
      "input; where nothing is wrong, 3 something could not be read, 5 something is of a newer version of vitrine.");
  command->callback([request, &chosen] { chosen = [request] { return verify(*request); }; });
}

}  // namespace vitrine
