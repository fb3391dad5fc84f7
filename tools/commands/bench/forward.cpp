// vitrine-bench forward: a frozen teacher's forward in BF16 on one core, compared with timm's in PyTorch.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/models/autocast.h"
#include "common/models/vit/vit.h"
#include "tools/commands/bench/command.h"
#include "tools/commands/bench/peer.h"
#include "tools/commands/bench/report.h"

namespace vitrine {
namespace {

struct ForwardOptions {
  std::vector<std::string> archs = {"vit_tiny_patch16_224", "vit_base_patch16_224"};
  std::filesystem::path python = bench::default_python();
  int views = 16, rounds = 5;
};

/// Best CPU milliseconds per view, after one warm-up.
double best_of(int rounds, int views, const std::function<void()>& forward) {
  forward();
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; ++round) {
    const double start = thread_seconds();
    forward();
    best = std::min(best, thread_seconds() - start);
  }
  return 1e3 * best / views;
}

std::string milliseconds(double value) {
  return figure(value) + " core-ms/view";
}

double relative_error(const at::Tensor& rough, const at::Tensor& exact) {
  return ((rough - exact).norm() / exact.norm()).item<double>();
}

void measure(const std::string& arch, const ForwardOptions& options) {
  at::manual_seed(1);
  const VitOptions sizes{.arch = arch};
  Vit vit(sizes);
  vit->eval();
  const int size = vit->structure().image_size;
  const at::Tensor x = at::randn({options.views, 3, size, size});
  const c10::InferenceMode inference;
  const auto run = [&] { return vit->forward(x).logits; };
  const auto run_autocast = [&] {
    const Autocast on(at::kCPU, at::kBFloat16);
    return run();
  };
  const auto time = [&](const auto& forward) { return best_of(options.rounds, options.views, forward); };
  const at::Tensor exact = run(), rough = run_autocast();
  const double fp32 = time(run), autocast = time(run_autocast);
  vit->freeze(fastest_product_type(at::kBFloat16, at::kCPU));
  const at::Tensor frozen = run();
  const double ours = time(run);
  const auto peer =
      bench::ask_peer(options.python, "forward_peer.py", text(arch, ' ', options.views, ' ', options.rounds));
  std::vector<ReportLine> lines;
  const auto add = [&](const std::string& what, double value, const std::string& against, double other) {
    lines.push_back({what, milliseconds(value), text(against, " ", milliseconds(other)), in_percent(value / other)});
  };
  add("BF16, frozen", ours, "BF16, autocast", autocast);
  add("BF16, frozen", ours, "FP32", fp32);
  if (peer) {
    add("BF16, frozen", ours, "timm, autocast", peer->at("autocast").get<double>());
    add("BF16, frozen", ours, "timm, BF16 weights", peer->at("bf16_weights").get<double>());
    add("FP32", fp32, "timm, FP32", peer->at("fp32").get<double>());
  }
  const double error = relative_error(frozen, exact), peers = relative_error(rough, exact);
  lines.push_back({"error of the logits, frozen", in_percent(error), "BF16, autocast " + in_percent(peers),
                   in_percent(error / peers)});
  print_report(text(arch, ", ", options.views, " views on one thread:"), lines);
}

}  // namespace

void add_forward(CommandLine& line, std::function<int()>& chosen) {
  CommandLine& command =
      line.add_subcommand("forward", "a frozen teacher's forward in BF16 on one core, compared with timm's");
  const auto options = std::make_shared<ForwardOptions>();
  command.add_option("--arch", options->archs, "architectures: vit_{tiny,small,base,large}_patch{8,14,16,32}_SIZE")
      .show_default();
  command.add_option("--views", options->views, "views per forward").show_default().range(1, 1024);
  command.add_option("--rounds", options->rounds, "forwards, of which the fastest counts")
      .show_default()
      .range(1, 1000);
  command.add_option("--python", options->python, "with torch and timm").show_default();
  command.callback([options, &chosen] {
    chosen = [options] {
      keep_freed_memory();  // as vitrine-extract
      at::set_num_threads(1);
      for (const std::string& arch : options->archs) measure(arch, *options);
      return 0;
    };
  });
}

}  // namespace vitrine
