#include "tools/commands/choose/command.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_lock.h"
#include "common/base/files.h"
#include "common/base/json_text.h"
#include "common/base/local_ranks.h"
#include "common/base/memory.h"
#include "common/base/processor_load.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/config/command_line.h"
#include "common/config/config.h"
#include "common/image/outside_images.h"
#include "tools/commands/bench/peer.h"
#include "tools/commands/choose/decide.h"
#include "tools/commands/choose/outcome.h"
#include "tools/commands/choose/request.h"
#include "tools/commands/vitrine/request_record.h"
#include "tools/commands/vitrine/steps.h"
#include "train/run/options.h"

namespace vitrine {
namespace {
namespace fs = std::filesystem;

void add_options(CommandLine& line, ChooseRequest& request) {
  line.add_option("CONFIG", request.config, "vitrine-train's TOML file, which every student is trained with");
  line.add_option("--latency", request.latency, "the bound for one picture: 5ms, 0.2s");
  line.add_option("--on", request.on, "vitrine or onnxruntime on this machine, or a table from another (FILE.csv)")
      .show_default();
  line.add_option("--out", request.out, "directory of table, runs, drawing and choice");
  line.add_option("--depths", request.depths, "18, 34, 50, 101, 152")
      .comma_separated()
      .show_default()
      .one_of({18, 34, 50, 101, 152});
  line.add_option("--widths", request.widths,
                  "channels of the first stage; 64 is the published ResNet; default with model.weights: theirs")
      .comma_separated()
      .show_default()
      .range(1, 1024);
  line.add_option("--sizes", request.sizes,
                  "sides of the input; any, whatever the size of the cache's views; default: 4/7, 5/7 and all of the "
                  "configuration's (128,160,224)")
      .comma_separated()
      .range(32, 4096);
  line.add_option("--most", request.most, "students to train, the slowest ones").show_default().range(1, 1000);
  line.add_option("--set", request.overrides, "key=value, of the configuration; repeatable").repeatable();
  line.add_option("--precision", request.precision, "of vitrine: fp32, bf16, fp16")
      .show_default()
      .one_of({"fp32", "bf16", "fp16"});
  line.add_option("--classes", request.classes, "of the measured networks").show_default().range(1, 1000000);
  line.add_option("--threads", request.threads, "of the measurement; default: one per core").range(1, 4096);
  line.add_option("--seconds", request.seconds, "of each measurement").show_default().range(0.0, 3600.0);
  line.add_option("--python", request.python, "with onnxruntime").show_default();
}

std::vector<std::string> training_arguments(const ChooseRequest& request, const Candidate& candidate) {
  std::vector<std::string> out = {request.config};
  const auto set = [&](const std::string& setting) { out.insert(out.end(), {"--set", setting}); };
  for (const std::string& setting : request.overrides) set(setting);
  set("model.arch=" + candidate.arch());
  set(text("model.width=", candidate.width));
  set(text("size=", candidate.size));
  set("output=" + (fs::path(request.out) / candidate.name()).string());
  return out;
}

std::vector<CommandStep> steps_of(const ChooseRequest& request, const std::vector<CandidateCost>& chosen,
                                  const std::string& own) {
  std::vector<CommandStep> out;
  for (const CandidateCost& cost : chosen)
    out.push_back({cost.candidate.name(), [own, arguments = training_arguments(request, cost.candidate)] {
                     return run_beside(own, "train", arguments);
                   }});
  return out;
}

void conclude(const ChooseRequest& request, const std::vector<CandidateCost>& chosen, const MeasuredOn& on,
              double bound) {
  Outcome outcome{.bound = bound, .on = on};
  for (const CandidateCost& cost : chosen) {
    const fs::path run = fs::path(request.out) / cost.candidate.name();
    const RunScore score = score_of(run);
    if (!outcome.score.empty() && score.what != outcome.score)
      fail(run.string(), ": has ", score.what, ", but the others ", outcome.score, "; train them alike");
    outcome.score = score.what;
    outcome.trained.push_back({cost, score.value, score.test});
  }
  const fs::path out = request.out;
  publish(out / "choice.svg", outcome_drawing(outcome));
  publish(out / "choice.json", json_text(outcome_json(outcome)));
  std::printf("\n%s", outcome_table(outcome).c_str());
  if (const auto best = choose(outcome.trained, bound))
    std::printf("the choice: %s\n", (out / outcome.trained[*best].cost.candidate.name()).c_str());
  std::printf("drawn in %s\n", (out / "choice.svg").c_str());
}

double quickest(const std::vector<CandidateCost>& costs) {
  return std::ranges::min_element(costs, {}, &CandidateCost::latency)->latency;
}

// Refuses, before anything is measured, what would fail once it is measured or trained.
void check(const ChooseRequest& request, bool measure_only, bool dry_run, const std::string& table) {
  if (measure_only) {
    if (table.empty()) fail("--measure-only needs -o FILE.csv, where the table goes");
    if (!request.measures()) fail("--measure-only measures; give --on vitrine or --on onnxruntime");
    return;
  }
  if (!table.empty()) fail("-o is the table of --measure-only; the results go to --out");
  if (request.latency.empty()) fail("--latency is missing: the bound for one picture, for instance 5ms");
  if (!request.measures() && !path_exists(request.on))
    throw Error(ErrorKind::kInput, {.path = request.on,
                                    .what = "does not exist",
                                    .remedy = "give --on vitrine, onnxruntime or a table of --measure-only"});
  if (request.on == "onnxruntime" && request.precision != "fp32")
    fail("--precision ", request.precision, ": ONNX Runtime computes these networks in fp32 on a CPU");
  if (dry_run) return;
  if (request.out.empty()) fail("--out is missing: the directory of the results; or give --dry-run");
  if (request.config.empty()) fail("the configuration of vitrine-train is missing; give a TOML file, or --dry-run");
  if (!path_exists(request.config))
    throw Error(ErrorKind::kInput,
                {.path = request.config, .what = "does not exist", .remedy = "give a configuration of vitrine-train"});
  TrainOptions training;
  load_config(request.config, request.overrides, training);
  const auto refuse = [&](const std::string& what, const char* remedy) {
    throw Error(ErrorKind::kInput, {.path = request.config, .what = what, .remedy = remedy});
  };
  if (training.max_steps > 0)
    refuse(text("max_steps = ", training.max_steps, " stops every student before it is finished"), "leave it out");
  if (training.selection() == Select::kLast && training.test.empty())
    refuse("gives nothing to choose a student by",
           "set test, or validation or hold_out (without select = \"last\"; without labels also "
           "targets.teacher.weights)");
  check_outside_images({"--out", request.out}, {{"images", training.images},
                                                {"unlabelled", training.unlabelled},
                                                {"validation", training.validation},
                                                {"test", training.test}});
}

}  // namespace

int choose_command(int argc, char** argv) {
  keep_freed_memory();
  return guarded_main("vitrine-choose", [&] {
    CommandLine line(
        "Measures ResNets of several depths, widths and sizes, trains from one cache those under a latency that can "
        "pay,\nand names the most accurate one.");
    ChooseRequest request;
    request.threads = default_threads();
    request.python = bench::default_python();
    bool dry_run = false, measure_only = false;
    std::string table;
    add_options(line, request);
    line.add_dry_run(dry_run, "measure and decide only");
    line.add_flag("--measure-only", measure_only, "write the table of this machine to -o, for --on elsewhere");
    line.add_option("-o", table, "the table's file");
    line.footer("Ctrl-C is safe, and the same command resumes. OUT/NAME is the run of a student.");
    if (const auto code = line.parse(argc, argv)) return *code;
    check(request, measure_only, dry_run, table);
    if (!measure_only) fit_weights(request, line.given("--widths"));
    if (request.measures() && request.sizes.empty()) request.sizes = usual_sizes(training_size(request));
    if (measure_only) {
      request.out.clear();
      publish(table, cost_csv(costs_of(request)));
      return 0;
    }
    const double bound = parse_duration(request.latency, "--latency");
    std::optional<FileLock> lock;
    if (dry_run) {
      request.out.clear();
    } else {
      lock = begin_or_resume(record_of(request));
    }
    const OtherPrograms others;
    const auto [on, costs] = costs_of(request);
    if (const std::string uncertain = uncertain_words(others.share()); request.measures() && !uncertain.empty())
      note("the latencies are " + uncertain);
    const std::vector<CandidateCost> chosen = worth_training(costs, bound, request.most);
    std::printf("measured: %s\n%s", on.describe().c_str(), plan_table(costs, chosen, bound).c_str());
    std::fflush(stdout);
    if (chosen.empty())
      fail("--latency ", request.latency, ": no candidate is that quick, the quickest takes ", 1e3 * quickest(costs),
           " ms; allow more, or smaller --depths, --widths or --sizes");
    if (dry_run) return 0;
    const StopFlag& stop = stop_on_signals();
    if (const int code = run_steps(steps_of(request, chosen, argv[0]), shell_command(argc, argv), stop); code != 0)
      return code;
    conclude(request, chosen, on, bound);
    return 0;
  });
}

}  // namespace vitrine
