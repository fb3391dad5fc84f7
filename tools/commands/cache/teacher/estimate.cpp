// vitrine-cache estimate: estimates the cost of an extraction from a run over a few groups, and whether it pays.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <iostream>
#include <memory>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json_text.h"
#include "common/config/config.h"
#include "tools/commands/cache/command.h"
#include "tools/commands/cache/estimate_report.h"
#include "tools/commands/cache/teacher/measure.h"

namespace vitrine {
namespace {

struct Request {
  std::string config, scratch;
  std::vector<std::string> overrides;
  std::uint32_t groups = 0;
  double epochs = 0;
  bool json = false;
  std::vector<std::string> allow;
};

int estimate_command(const Request& request) {
  if (!request.scratch.empty() && !directory_exists(request.scratch))
    fail("--scratch ", request.scratch, ": is not a directory");
  ExtractOptions options;
  load_config(request.config, request.overrides, options);
  take_allowed_words(request.allow, options);
  if (options.images.empty()) fail(request.config, ": images is not given; expected a folder of class folders");
  at::set_num_threads(1);
  const Teacher teacher(options.teacher, options.taps);
  const Estimate estimate = measure_extraction(options, teacher, request.groups, request.scratch);
  if (request.json)
    std::cout << json_text(estimate_json(estimate, request.epochs));
  else
    print_estimate(estimate, request.epochs);
  return 0;
}

}  // namespace

void add_estimate(CommandLine& line, Body& chosen) {
  const auto request = std::make_shared<Request>();
  CommandLine& command = line.add_subcommand(
      "estimate", "runs a few groups of a planned extraction and estimates its total cost, and whether it pays");
  command.add_option("CONFIG", request->config, "vitrine-extract's TOML file").required();
  command.add_option("--set", request->overrides, "key=value, overrides the file; repeatable").repeatable();
  command.add_option("--groups", request->groups, "groups to run; 0: two per worker, at least four").range(0, 100000);
  command.add_option("--epochs", request->epochs, "of one student: also print the break-even in students").positive();
  command.add_option("--scratch", request->scratch,
                     "an existing directory for temporary files, best on the cache's disk; default: the system's "
                     "temporary directory");
  command.add_option("--allow", request->allow, "as vitrine-extract's; module: run the code in teacher.module")
      .type_name("WORD[,WORD...]")
      .repeatable();
  command.add_flag("--json", request->json, "print JSON, for programs");
  command.footer(
      "Images are counted by the index of the configuration's cache if it has one, else by listing them; only\n"
      "those of the sample are read.\n"
      "The break-even compares, for V views per pass, P passes and n epochs, calibration + P V extraction + n V read\n"
      "(the cache) with n V live (the teacher's forward pass in every epoch): n = (P extraction + calibration / V) /\n"
      "(live - read), never if live <= read.\n"
      "Exit codes: 0 done, 2 bad input; others as vitrine-cache --help says.");
  command.callback([request, &chosen] { chosen = [request] { return estimate_command(*request); }; });
}

}  // namespace vitrine
