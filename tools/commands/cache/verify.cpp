// vitrine-cache verify: checks every byte.
#include "tools/inspect/verify.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/json_text.h"
#include "common/base/progress.h"
#include "common/image/left_out.h"
#include "tools/commands/cache/command.h"
#include "tools/commands/cache/deep_report.h"
#include "tools/commands/cache/findings.h"
#include "tools/inspect/words.h"
#include "tools/inspect/loss_summary.h"

namespace vitrine {
namespace {

struct VerifyRequest {
  std::string directory;
  VerifyOptions options;
  DeepRequest deep;
  DeepCheck deep_check;
  std::string allow;
  bool json = false;
};

void check_request(const VerifyRequest& request) {
  if (request.deep.views > 0 && (request.options.images.empty() || request.deep.weights.empty()))
    fail("--deep runs the teacher: give --images and --weights");
  if (request.deep.views == 0 && !request.deep.weights.empty())
    fail("--weights needs --deep N; N is the number of views to run through the teacher");
}

// A damaged index or plan, without which views cannot be rendered.
const Finding* stops_deep(const std::vector<Finding>& findings) {
  const auto found = std::ranges::find_if(
      findings, [](const Finding& finding) { return finding.file == "index.h5" || finding.file == "plan.json"; });
  return found == findings.end() ? nullptr : &*found;
}

DeepReport run_deep(const VerifyRequest& request, const std::vector<Finding>& findings) {
  if (const Finding* damage = stops_deep(findings)) return {{}, text(damage->file, " ", damage->what)};
  DeepRequest ask = request.deep;
  ask.allow_module = !request.allow.empty();
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

// One row per directory.
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
  std::cout << "an extraction is running or was stopped, or shards were deleted; vitrine-extract makes missing shards, "
               "and readers only use complete passes\n";
}

std::string verdict_words(const VerifyReport& report) {
  if (!report.findings.empty()) return counted(report.findings.size(), "finding");
  return report.incomplete.empty() ? "all is well" : "no damage, but passes are incomplete";
}

int verify(const VerifyRequest& request) {
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
    out["pictures_lost"] = report.lost;
    out["views_left_out"] = report.left_out;
    out["unlisted"] = report.unlisted;
    out["set_aside"] = report.set_aside;
    out["findings"] = findings_json(report.findings);
    out["incomplete"] = incomplete_json(report.incomplete);
    if (request.deep.views > 0) out["deep"] = deep_json(deep.results);
    if (!deep.not_run.empty()) out["deep_not_run"] = deep.not_run;
    std::cout << json_text(out);
  } else {
    print_findings(report.findings);
    std::cout << counted(report.files, "file") << ", " << human_bytes(static_cast<double>(report.bytes)) << ", "
              << (report.tracks == 0 ? "no track" : counted(report.groups, "group") + " of targets decoded");
    if (report.left_out > 0) std::cout << ", " << counted(report.left_out, "view") << " left out";
    if (!request.options.images.empty()) std::cout << ", " << counted(report.pictures, "picture") << " rendered";
    if (report.lost > 0)
      std::cout << " (not rendered, for images that " << kLeftOutFile << " names as lost: " << human_count(report.lost)
                << ")";
    std::cout << ": " << verdict_words(report) << '\n';
    print_incomplete(report.incomplete);
    if (report.unlisted > 0)
      std::cout << counted(report.unlisted, "file is", "files are")
                << " not listed in shards.json yet, as during or after an interrupted extraction\n";
    print_set_aside(report.set_aside);
    print_deep(deep);
    if (beyond) std::cout << "the cache does not match this teacher's outputs for these images\n";
  }
  return beyond ? 1 : exit_code(report.findings);
}

}  // namespace

void add_verify(CommandLine& line, Body& chosen, DeepCheck deep) {
  const auto request = std::make_shared<VerifyRequest>();
  request->deep_check = std::move(deep);
  CommandLine& command = line.add_subcommand("verify",
                                             "checks every byte: tables, frames, shapes, finite values, recipes, "
                                             "listed files, and the contents as seen by HDF5");
  command.add_option("DIR", request->directory, "the cache's directory").required();
  command
      .add_option("--track", request->options.tracks, "only this track (logits, TEACHER.xxxxxxxx/logits); repeatable")
      .repeatable();
  command.add_option("--images", request->options.images,
                     "the folder of images: renders a view of every group and compares its hash");
  command.add_option("--unlabelled", request->options.unlabelled, "the folder of its additional unlabelled images");
  command
      .add_option("--deep", request->deep.views,
                  "also run this many views of each track (whole groups) through the teacher")
      .range(std::int64_t{1}, std::int64_t{1'000'000'000});
  command.add_option("--weights", request->deep.weights, "the teacher's weights (or its module), for --deep");
  command.add_option("--zero-shot", request->deep.zero_shot, "its class text embeddings, for a teacher that uses them");
  command.add_option("--allow", request->allow, "module: run the code in a module given as --weights")
      .one_of({"module"});
  command.add_option("--device", request->deep.device,
                     "for --deep: cpu, cuda or cuda:N; default: the kind that made the cache");
  command.add_option("--threads", request->options.threads, "files checked at once; 0: one per core").range(0, 4096);
  command.add_flag("--json", request->json, "print JSON, for programs");
  command.footer(
      "--deep takes the teacher's settings from the track's provenance and skips damaged files. A group may differ\n"
      "from the teacher's current values after the track's codec by rounding differences between machines, and from\n"
      "the values themselves by the codec's bound: shares of the energy; for attention the largest total variation\n"
      "of a head. A track without a difference was recoded from a transform; it is checked against all bounds\n"
      "combined.\n"
      "Exit codes: 0 nothing is damaged (passes may be incomplete), 1 damage (see the table) or a difference from the\n"
      "teacher's outputs was found, 2 bad input; if there is none, 3 something could not be read, 5 something was\n"
      "written by a newer version; others as vitrine-cache --help says.");
  command.callback([request, &chosen] { chosen = [request] { return verify(*request); }; });
}

}  // namespace vitrine
