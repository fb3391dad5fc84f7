#include "train/run_log.h"

#include <sys/resource.h>
#include <torch/torch.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "common/base/error.h"
#include "common/base/files.h"
#include "train/trainer.h"

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
        "step,epoch,phase,lr,loss,kl,feature,attention,label,exits,scale,skipped,seconds,wait_share,core_seconds",
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
       {&line.terms.output, &line.terms.feature, &line.terms.attention, &line.terms.label, &line.terms.exits})
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
  if (result.skipped_updates) json["skipped_updates"] = *result.skipped_updates;
  if (result.agreement) json["validation_agreement"] = *result.agreement;
  if (result.validation) json["validation_top1"] = result.validation->top1;
  publish(directory / "summary.json", json.dump(2) + "\n");
}

}  // namespace vitrine
