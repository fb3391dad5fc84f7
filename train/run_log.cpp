#include <torch/torch.h>

#include "train/run_log.h"

#include <sys/resource.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "common/base/error.h"
#include "common/base/files.h"
#include "train/trainer.h"

namespace vitrine {
namespace {

std::string cell(const at::Tensor& term) { return term.defined() ? text(term.item<double>()) : ""; }

}  // namespace

double core_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

RunLog::RunLog(const std::filesystem::path& directory, std::uint64_t first_step) {
  const std::filesystem::path path = directory / "log.csv";
  std::string kept = "step,epoch,phase,lr,loss,kl,feature,attention,label,seconds,wait_share,core_seconds\n";
  if (first_step > 0 && std::filesystem::exists(path)) {
    std::istringstream lines(read_file(path));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line))
      if (std::strtoull(line.c_str(), nullptr, 10) <= first_step) kept += line + "\n";
  }
  publish(path, kept);
  out_.open(path, std::ios::app);
  if (!out_) fail(path.string(), ": cannot be written; check the directory's permissions");
}

void RunLog::add(std::uint64_t step, const SchedulePoint& point, double loss, const LossTerms& terms, double seconds, double wait_share,
                 double core_seconds) {
  out_ << step << ',' << point.epoch << ',' << point.phase->name << ',' << point.lr << ',' << loss << ',' << cell(terms.output) << ','
       << cell(terms.feature) << ',' << cell(terms.attention) << ',' << cell(terms.label) << ',' << seconds << ',' << wait_share << ','
       << core_seconds << std::endl;
  if (!out_) fail("log.csv cannot be written; is the disk full?");
}

void write_summary(const std::filesystem::path& directory, const TrainResult& result) {
  const std::optional<Accuracy>& judged = result.test ? result.test : result.validation;
  nlohmann::ordered_json json = {{"steps", result.steps},
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
  if (result.validation) json["validation_top1"] = result.validation->top1;
  publish(directory / "summary.json", json.dump(2) + "\n");
}

}  // namespace vitrine
