// vitrine-cache verify: looks at every byte.
#include "common/inspect/verify.h"

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
  bool json = false;
};

int verify(const Request& request) {
  const VerifyReport report = verify_cache(request.directory, request.options);
  if (request.json) {
    nlohmann::ordered_json out;
    out["files"] = report.files;
    out["bytes"] = report.bytes;
    out["groups"] = report.groups;
    out["pictures"] = report.pictures;
    out["unlisted"] = report.unlisted;
    out["findings"] = findings_json(report.findings);
    std::cout << out.dump(2) << '\n';
  } else {
    print_findings(report.findings);
    std::cout << human_count(report.files) << " files, " << human_bytes(static_cast<double>(report.bytes)) << ", "
              << human_count(report.groups) << " groups of targets decoded";
    if (!request.options.images.empty()) std::cout << ", " << human_count(report.pictures) << " pictures made again";
    std::cout << ": " << (report.findings.empty() ? "all is well" : human_count(report.findings.size()) + " findings")
              << '\n';
    if (report.unlisted > 0)
      std::cout << human_count(report.unlisted)
                << " files are not listed in shards.json yet, as a running or broken extraction leaves them\n";
  }
  return report.findings.empty() ? 0 : 1;
}

}  // namespace

void add_verify(CLI::App& app, Body& chosen) {
  const auto request = std::make_shared<Request>();
  CLI::App* command = app.add_subcommand(
      "verify", "reads every byte: tables, frames, shapes, finite values, recipes, listed files, and HDF5's own view");
  command->add_option("DIR", request->directory, "the cache's directory")->required();
  command
      ->add_option("--track", request->options.tracks,
                   "only this track (logits, TEACHER.xxxxxxxx/logits); may be given again")
      ->expected(1)
      ->take_all();
  command->add_option("--images", request->options.images, "the folder of images: makes a view of every group again");
  command->add_option("--threads", request->options.threads, "files in work at once; 0: one a core")
      ->check(CLI::Range(0, 4096));
  command->add_flag("--json", request->json, "print JSON, for programs");
  command->footer("Exit codes: 0 all is well, 1 something is wrong (the table says what), 2 bad input.");
  command->callback([request, &chosen] { chosen = [request] { return verify(*request); }; });
}

}  // namespace vitrine
