// vitrine-bench inference: what a student costs where it runs, compared with its teacher and other runtimes.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "common/base/error.h"
#include "common/base/json_text.h"
#include "common/base/local_ranks.h"
#include "common/base/memory.h"
#include "common/models/device.h"
#include "common/models/inference/frozen_resnet.h"
#include "common/models/precision.h"
#include "tools/commands/bench/command.h"
#include "tools/commands/bench/inference/contest.h"
#include "tools/commands/bench/inference/table.h"
#include "tools/commands/bench/peer.h"

namespace vitrine {
namespace {

struct InferenceRequest {
  std::vector<std::string> models = {"resnet50"};
  std::string teacher, device = "cpu";
  bench::SubjectSizes sizes;
  std::vector<std::string> precisions = {"fp32", "bf16", "fp16"};
  std::vector<std::string> peers = {"torchvision", "torch.compile", "onnxruntime"};
  std::string int8;
  bench::ContestOptions contest;
  bool steps = false, json = false;
};

// Networks that differ in their weights only cost the same.
void add_subject(std::vector<bench::Subject>& subjects, bench::Subject next) {
  for (bench::Subject& subject : subjects)
    if (subject.same_network(next)) {
      subject.name += ", " + next.name;
      return;
    }
  subjects.push_back(std::move(next));
}

// Empty if supported.
std::string unsupported_reason(const std::string& precision, at::Device device) {
  if (computes_natively(compute_type(precision), device)) return "";
  return device.is_cpu() ? "not on this processor" : "not on this GPU";
}

// An 8-bit file is of one network, and of a CPU.
void check_int8(const InferenceRequest& request, const std::vector<bench::Subject>& subjects) {
  if (request.int8.empty()) return;
  if (!request.contest.device.is_cpu()) fail("--int8 is measured on a CPU; leave it out, or give --device cpu");
  if (std::ranges::none_of(subjects, [&](const bench::Subject& one) { return bench::is_of(request.int8, one); }))
    throw Error(ErrorKind::kInput,
                {.path = request.int8,
                 .what = "is not of a network that is measured",
                 .remedy = "name its student, or an architecture with its --size, --classes and --width"});
}

bench::Measured measure(const InferenceRequest& request, bench::Contest& contest, const bench::Subject& subject) {
  bench::Measured out{.subject = subject};
  std::vector<bench::Entry> entries, steps;
  std::vector<bench::Figures> absent;
  for (const std::string& precision : request.precisions) {
    if (const std::string reason = unsupported_reason(precision, request.contest.device); !reason.empty()) {
      absent.push_back({.entry = {.precision = precision}, .failed = reason});
      continue;
    }
    entries.push_back({.precision = precision});
    if (!subject.resnet) continue;
    for (const std::string& peer : request.peers) entries.push_back({.runtime = peer, .precision = precision});
    if (!request.steps) continue;
    for (int step = 0; step <= static_cast<int>(bench::Preparation::kPacked); ++step)
      steps.push_back({.precision = precision, .preparation = static_cast<bench::Preparation>(step)});
  }
  if (!request.int8.empty() && bench::is_of(request.int8, subject))
    for (const char* runtime : {"onnxruntime", "openvino"})
      entries.push_back({.runtime = runtime, .precision = "int8", .onnx = request.int8});
  out.figures = contest.run(subject, entries);
  out.figures.insert(out.figures.end(), absent.begin(), absent.end());
  if (!steps.empty()) out.steps = contest.run(subject, steps);
  return out;
}

int inference_command(InferenceRequest request) {
  keep_freed_memory();
  request.contest.device = select_device(request.device);
  if (request.contest.threads == 0) request.contest.threads = default_threads();
  std::optional<PrecisionScope> scope;
  if (request.contest.device.is_cuda()) scope.emplace("fp32", request.contest.device, "--precision");
  std::vector<bench::Subject> subjects;
  if (!request.teacher.empty()) subjects.push_back(bench::teacher_subject(request.teacher, request.sizes));
  for (const std::string& model : request.models) add_subject(subjects, bench::student_subject(model, request.sizes));
  check_int8(request, subjects);
  bench::Contest contest(request.contest);
  std::vector<bench::Measured> all;
  for (const bench::Subject& subject : subjects) all.push_back(measure(request, contest, subject));
  if (request.json) {
    std::fputs(json_text(bench::inference_json(all, request.contest)).c_str(), stdout);
    return 0;
  }
  std::printf("%s, %u threads; memory: peak growth at batch 1; error: of the logits, from the FP32 module's\n%s",
              describe_device(request.contest.device).name.c_str(), request.contest.threads,
              bench::cost_table(all).c_str());
  for (const bench::Measured& measured : all) {
    bench::print_ratios(measured, request.contest);
    bench::print_steps(measured);
  }
  return 0;
}

}  // namespace

void add_inference(CommandLine& line, std::function<int()>& chosen) {
  CommandLine& command = line.add_subcommand(
      "inference", "what students cost where they run, compared with the teacher and other runtimes");
  const auto request = std::make_shared<InferenceRequest>();
  request->contest.threads = 0;
  request->contest.python = bench::default_python();
  command.add_option("MODEL", request->models, "architectures (resnet50), runs or files of weights").show_default();
  command.add_option("--teacher", request->teacher, "an architecture (vit_base_patch16_224) or weights");
  command.add_option("--size", request->sizes.size, "side of an architecture's input").show_default().range(32, 4096);
  command.add_option("--classes", request->sizes.classes, "of an architecture").show_default().range(1, 1000000);
  command.add_option("--width", request->sizes.width, "of a ResNet's first stage").show_default().range(1, 1024);
  command.add_option("--precision", request->precisions, "fp32, bf16, fp16")
      .show_default()
      .one_of({"fp32", "bf16", "fp16"});
  command.add_option("--batches", request->contest.batches, "for throughput; batch 1 gives the latency")
      .show_default()
      .range(1, 4096);
  command.add_option("--threads", request->contest.threads, "of each runtime; default: one per core");
  command.add_option("--device", request->device, "cpu, cuda or cuda:N").show_default();
  command.add_option("--peers", request->peers, "torchvision, torch.compile, onnxruntime, openvino; none: no peer")
      .show_default()
      .one_of({"torchvision", "torch.compile", "onnxruntime", "openvino", "none"});
  command
      .add_option("--int8", request->int8,
                  "a student's ONNX file of tools/scripts/quantise.py, for ONNX Runtime and OpenVINO")
      .existing_file();
  command.add_option("--rounds", request->contest.rounds, "turns of each runtime").show_default().range(1, 1000);
  command.add_option("--seconds", request->contest.seconds, "of each turn").show_default().range(0.0, 3600.0);
  command.add_option("--python", request->contest.python, "with the peers' packages").show_default();
  command.add_flag("--steps", request->steps, "also what folding, fusing and packing bring");
  command.add_flag("--json", request->json, "print JSON, for programs");
  command.callback([request, &chosen] {
    chosen = [request] {
      std::erase(request->peers, "none");
      return inference_command(*request);
    };
  });
}

}  // namespace vitrine
