#include "tools/commands/choose/request.h"

#include <ATen/ATen.h>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/base/json_difference.h"
#include "common/base/json_text.h"
#include "common/base/progress.h"
#include "common/base/utf8.h"
#include "common/models/inference/frozen_resnet.h"
#include "common/models/precision.h"
#include "tools/commands/bench/inference/contest.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kRecord = "choose.json";
constexpr const char* kTable = "table.csv";
constexpr const char* kFormat = "vitrine choose";

CandidateCost measured(const ChooseRequest& request, const Candidate& candidate, bench::Contest& contest) {
  const bench::Subject subject =
      bench::random_resnet(candidate.arch(), {candidate.size, request.classes, candidate.width});
  const bench::Figures figures =
      contest.run(subject, {{.runtime = request.on, .precision = request.precision}}).front();
  if (!figures.failed.empty()) fail("--on ", request.on, ": ", figures.failed);
  note(text(candidate.name(), ": ", 1e3 * figures.latency(0.5), " ms"));
  return {candidate, figures.latency(0.5), subject.cost.multiply_adds, subject.cost.parameters};
}

std::vector<CandidateCost> measure_all(const ChooseRequest& request) {
  if (!computes_natively(compute_type(request.precision), at::kCPU))
    fail("--precision ", request.precision, ": this processor has no instructions for it; choose fp32");
  bench::Contest contest(
      {.batches = {1}, .rounds = 1, .seconds = request.seconds, .threads = request.threads, .python = request.python});
  std::vector<CandidateCost> out;
  for (const Candidate& candidate : candidates_of(request.depths, request.widths, request.sizes))
    out.push_back(measured(request, candidate, contest));
  return out;
}

// Throws unless every text of the request can be in its record.
void refuse_other_than_utf8(const Json& request, const fs::path& record) {
  for (const auto& [path, value] : request.flatten().items())
    if (value.is_string() && !is_utf8(value.get_ref<const std::string&>()))
      throw Error(ErrorKind::kInput, {.path = value.get<std::string>(),
                                      .what = text("is not UTF-8, which ", record.string(), " cannot hold"),
                                      .remedy = "rename it, or give it by another path"});
}

}  // namespace

Json ChooseRequest::json() const {
  Json record = {{"config", config}, {"set", overrides}, {"latency", latency}, {"on", on}, {"most", most}};
  if (measures())
    record.update({{"precision", precision},
                   {"depths", depths},
                   {"widths", widths},
                   {"sizes", sizes},
                   {"classes", classes},
                   {"threads", threads}});
  return record;
}

void begin(const ChooseRequest& request) {
  const fs::path record = fs::path(request.out) / kRecord;
  refuse_other_than_utf8(request.json(), record);
  if (!path_exists(record)) {
    if (directory_exists(request.out) && !list_directory(request.out).empty())
      throw Error(ErrorKind::kInput, {.path = request.out,
                                      .what = "is not empty, and not a directory of vitrine choose",
                                      .remedy = "choose another --out"});
    publish(record, json_text(Json{{"format", kFormat}, {"version", 1}, {"request", request.json()}}));
    return;
  }
  const auto json = parse_json<Json>(read_file(record));
  if (!json.is_object() || json.value("format", Json()) != kFormat || !json.contains("request"))
    throw Error(ErrorKind::kCorrupt, {.path = record.string(), .what = "is damaged", .remedy = "choose another --out"});
  const std::string differs = describe_differences(json_differences(json["request"], request.json()), "this command");
  if (!differs.empty())
    throw Error(ErrorKind::kInput, {.path = request.out,
                                    .what = "was begun with another request: " + differs,
                                    .remedy = "repeat the command that began it, or choose another --out"});
}

std::vector<CandidateCost> costs_of(const ChooseRequest& request) {
  if (!request.measures()) return parse_cost_csv(read_file(request.on), request.on);
  if (request.out.empty()) return measure_all(request);
  // Measured once: a second measurement could choose others.
  const fs::path table = fs::path(request.out) / kTable;
  if (path_exists(table)) return parse_cost_csv(read_file(table), table.string());
  std::vector<CandidateCost> out = measure_all(request);
  publish(table, cost_csv(out));
  return out;
}

}  // namespace vitrine
