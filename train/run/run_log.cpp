#include "train/run/run_log.h"

#include <sys/resource.h>
#include <torch/torch.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"

namespace vitrine {
namespace {

std::string cell(const at::Tensor& term) {
  return term.defined() ? text(term.item<double>()) : "";
}

// Opens a table for more lines; those beyond `first_step` are dropped.
void go_on(std::ofstream& out, const std::filesystem::path& path, const std::string& header, std::uint64_t first_step) {
  std::string kept = header + "\n";
  if (first_step > 0 && path_exists(path)) {
    std::istringstream lines(read_file(path));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line))
      if (std::strtoull(line.c_str(), nullptr, 10) <= first_step) kept += line + "\n";
  }
  publish(path, kept);
  out.open(path, std::ios::app);
  if (!out) fail(path.string(), ": cannot be written; check the directory's permissions");
}

}  // namespace

double core_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

RunLog::RunLog(const std::filesystem::path& directory, std::uint64_t first_step)
    : directory_(directory), first_step_(first_step) {
  go_on(out_, directory / "log.csv",
        "step,epoch,phase,lr,loss,kl,feature,attention,label,exits,embedding,scale,skipped,seconds,wait_share,core_seconds",
        first_step);
}

void RunLog::add(std::uint64_t step, const Objective::Mapped& mapped) {
  if (!mapping_.is_open()) go_on(mapping_, directory_ / "mapping.csv", "step,stage,track,weight", first_step_);
  const at::Tensor weights = mapped.weights.to(at::kCPU, at::kDouble);
  for (std::size_t s = 0; s < mapped.stages.size(); ++s)
    for (std::size_t t = 0; t < mapped.tracks.size(); ++t)
      mapping_ << step << ',' << mapped.stages[s] << ',' << mapped.tracks[t] << ','
               << weights[static_cast<std::int64_t>(s)][static_cast<std::int64_t>(t)].item<double>() << '\n';
  mapping_.flush();
  if (!mapping_) fail("mapping.csv cannot be written; is the disk full?");
}

void RunLog::add(const LogLine& line) {
  out_ << line.step << ',' << line.point.epoch << ',' << line.point.phase->name << ',' << line.point.lr << ','
       << line.loss;
  for (const at::Tensor* term :
       {&line.terms.output, &line.terms.feature, &line.terms.attention, &line.terms.label, &line.terms.exits,
        &line.terms.embedding})
    out_ << ',' << cell(*term);
  if (line.scale) {
    out_ << ',' << *line.scale << ',' << line.skipped;
  } else {
    out_ << ",,";
  }
  out_ << ',' << line.seconds << ',' << line.wait_share << ',' << line.core_seconds << std::endl;
  if (!out_) fail("log.csv cannot be written; is the disk full?");
}

void write_summary(const std::filesystem::path& directory, const TrainResult& result) {
  const std::optional<Accuracy>& judged = result.test ? result.test : result.validation;
  nlohmann::ordered_json json = {
      {"steps", result.steps},
      {"images_seen", result.images_seen},
      {"wall_seconds", result.wall_seconds},
      {"core_seconds", result.core_seconds},
      {"core_seconds_per_step", result.steps > 0 ? result.core_seconds / static_cast<double>(result.steps) : 0},
      {"wait_share", result.wait_share}};
  if (judged) {
    json["judged_on"] = result.test ? "test" : "validation";
    json["judged_images"] = judged->images;
    json["top1"] = judged->top1;
    json["top5"] = judged->top5;
  }
  for (const auto& [word, difference] : result.allowed)
    json["allowed"].push_back({{"word", word}, {"difference", difference}});
  if (result.left_out_views > 0) json["left_out_views"] = result.left_out_views;
  if (result.skipped_updates) json["skipped_updates"] = *result.skipped_updates;
  if (result.agreement) json["validation_agreement"] = *result.agreement;
  if (result.validation) json["validation_top1"] = result.validation->top1;
  if (result.best.there())
    json["best"] = {{"chosen_by", result.best.chosen_by},
                    {"score", result.best.score},
                    {"step", result.best.step},
                    {"epoch", result.best.epoch},
                    {"file", "best.safetensors"}};
  json["size"] = result.size;
  for (const auto& [track, stage] : result.stages) json["stages"][track] = text("layer", stage);
  if (!result.changes.empty()) json["changes"] = result.changes;
  publish(directory / "summary.json", json.dump(2) + "\n");
}

std::optional<TrainResult> read_summary(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "summary.json";
  if (!path_exists(path)) return std::nullopt;
  try {
    const auto json = parse_json<nlohmann::ordered_json>(read_file(path));
    TrainResult out;
    out.finished = true;
    out.steps = json.at("steps");
    out.images_seen = json.at("images_seen");
    out.left_out_views = json.value("left_out_views", std::uint64_t{0});
    out.wall_seconds = json.at("wall_seconds");
    out.core_seconds = json.at("core_seconds");
    out.wait_share = json.at("wait_share");
    out.size = json.value("size", std::uint32_t{0});
    if (json.contains("judged_on")) {
      const Accuracy judged{json.at("top1"), json.at("top5"), json.at("judged_images")};
      (json.at("judged_on") == "test" ? out.test : out.validation) = judged;
    }
    if (json.contains("skipped_updates")) out.skipped_updates = json.at("skipped_updates").get<std::uint64_t>();
    for (const auto& one : json.value("allowed", nlohmann::ordered_json::array()))
      out.allowed.push_back({one.at("word"), one.at("difference")});
    const auto stages = json.value("stages", nlohmann::ordered_json::object());
    for (const auto& [track, layer] : stages.items())
      if (const auto word = layer.get<std::string>(); word.starts_with("layer") && word.size() == 6)
        out.stages.emplace_back(track, static_cast<std::uint32_t>(word.back() - '0'));
    out.changes = json.value("changes", std::vector<std::string>());
    return out;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace vitrine
