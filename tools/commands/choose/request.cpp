#include "tools/commands/choose/request.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/paths.h"
#include "common/base/progress.h"
#include "common/config/config.h"
#include "common/models/device.h"
#include "common/models/inference/frozen_resnet.h"
#include "common/models/precision.h"
#include "common/models/resnet_archs.h"
#include "common/models/weights/weights.h"
#include "common/plan/plan.h"
#include "tools/commands/bench/inference/contest.h"
#include "train/run/options.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kTable = "table.csv";

// The depth and width of a published ResNet with these tensors.
struct NetworkOfFile {
  std::optional<std::string> arch;  ///< none: not recognised
  std::uint32_t width = 0;
};

NetworkOfFile network_of_file(const Tensors& tensors, std::uint32_t configured_width) {
  NetworkOfFile out{std::nullopt, configured_width};
  if (const auto stem = tensors.find("conv1.weight"); stem != tensors.end() && stem->second.dim() == 4)
    out.width = static_cast<std::uint32_t>(stem->second.size(0));
  const auto has_block = [&](int stage, int block, const char* convolution) {
    return tensors.contains(text("layer", stage, '.', block, ".conv", convolution, ".weight"));
  };
  for (const ResNetArch& arch : kResNetArchs) {
    bool fits = has_block(1, 0, "3") == arch.bottleneck;
    for (int stage = 1; stage <= 4; ++stage) {
      const int blocks = arch.blocks[static_cast<std::size_t>(stage - 1)];
      fits = fits && has_block(stage, blocks - 1, "1") && !has_block(stage, blocks, "1");
    }
    if (fits) out.arch = arch.name;
  }
  return out;
}

CandidateCost measured(const ChooseRequest& request, const Candidate& candidate, bench::Contest& contest) {
  const bench::Subject subject =
      bench::random_resnet(candidate.arch(), {candidate.size, request.classes, candidate.width});
  const bench::Figures figures =
      contest.run(subject, {{.runtime = request.on, .precision = request.precision}}).front();
  if (!figures.failed.empty()) fail("--on ", request.on, ": ", figures.failed);
  note(text(candidate.name(), ": ", 1e3 * figures.latency(0.5), " ms"));
  return {candidate, figures.latency(0.5), subject.cost.multiply_adds, subject.cost.parameters};
}

CostTable measure_all(const ChooseRequest& request) {
  if (!computes_natively(compute_type(request.precision), at::kCPU))
    fail("--precision ", request.precision, ": this processor has no instructions for it; choose fp32");
  bench::Contest contest(
      {.batches = {1}, .rounds = 1, .seconds = request.seconds, .threads = request.threads, .python = request.python});
  CostTable out{{describe_device(at::kCPU).name, request.on, request.threads, request.precision}, {}};
  const std::vector<Candidate> candidates = candidates_of(request.depths, request.widths, request.sizes);
  note(
      text("measuring ", counted(candidates.size(), "network"), ", ", request.seconds, " s each: ", out.on.describe()));
  for (const Candidate& candidate : candidates) out.costs.push_back(measured(request, candidate, contest));
  return out;
}

}  // namespace

Json ChooseRequest::json() const {
  Json record = {{"config", resolved_path(config).string()},
                 {"set", overrides},
                 {"latency", latency},
                 {"on", measures() ? on : resolved_path(on).string()},
                 {"most", most}};
  if (measures())
    record.update({{"precision", precision},
                   {"depths", depths},
                   {"widths", widths},
                   {"sizes", sizes},
                   {"classes", classes},
                   {"threads", threads}});
  return record;
}

RequestRecord record_of(const ChooseRequest& request) {
  return {request.out, "choose", request.json()};
}

std::uint32_t training_size(const ChooseRequest& request) {
  if (request.config.empty()) return PlanOptions().image_size;
  TrainOptions training;
  load_config(request.config, request.overrides, training);
  if (training.size > 0) return training.size;
  const fs::path plan = fs::path(training.targets.cache) / "plan.json";
  if (training.targets.cache.empty() || !path_exists(plan)) return training.plan.image_size;
  return Plan::options_from_json(read_file(plan), plan.string()).image_size;
}

void fit_weights(ChooseRequest& request, bool widths_given) {
  if (request.config.empty()) return;
  TrainOptions training;
  load_config(request.config, request.overrides, training);
  const std::string& weights = training.model.weights;
  if (weights.empty()) return;
  const NetworkOfFile file = network_of_file(read_weights(weights).tensors, training.model.width);
  if (!widths_given) request.widths = {file.width};
  std::vector<Candidate> candidates;
  if (request.measures())
    candidates = candidates_of(request.depths, request.widths, {1});  // whatever the sizes
  else
    for (const CandidateCost& cost : parse_cost_csv(read_file(request.on), request.on).costs)
      candidates.push_back(cost.candidate);
  const std::string arch = file.arch.value_or(candidates.empty() ? "" : candidates.front().arch());
  const auto other = std::ranges::find_if(candidates, [&](const Candidate& candidate) {
    return candidate.arch() != arch || candidate.width != file.width;
  });
  if (other == candidates.end()) return;
  const std::string only = text("--depths ", file.arch ? file.arch->substr(arch.find_first_of("0123456789")) : "N",
                                " --widths ", file.width);
  throw Error(ErrorKind::kInput, {.path = request.config,
                                  .what = text("starts every student from model.weights = \"", weights,
                                               "\", which do not fit ", other->arch(), " of width ", other->width),
                                  .remedy = text(request.measures() ? "give " : "give a table of ", only,
                                                 ", or leave model.weights out")});
}

CostTable costs_of(const ChooseRequest& request) {
  if (!request.measures()) return parse_cost_csv(read_file(request.on), request.on);
  if (request.out.empty()) return measure_all(request);
  // Measured once: a second measurement could choose others.
  const fs::path table = fs::path(request.out) / kTable;
  if (path_exists(table)) return parse_cost_csv(read_file(table), table.string());
  CostTable out = measure_all(request);
  publish(table, cost_csv(out));
  return out;
}

}  // namespace vitrine
