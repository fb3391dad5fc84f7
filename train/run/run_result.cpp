#include "train/run/run_log.h"

#include <sys/resource.h>
#include <torch/torch.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "common/base/error.h"
#include "common/base/files.h"
#include "train/run/run_json.h"

namespace vitrine {
namespace {

std::string cell(const at::Tensor& term) {
  return term.defined() ? text(term.item<double>()) : "";
}

// Whether a line of a table is whole and of a step up to `last`: a machine that died may have cut it.
bool is_whole_line(const std::string& line, std::ptrdiff_t commas, std::uint64_t last) {
  std::uint64_t step = 0;
  const char* end = line.data() + line.size();
  const auto [after, wrong] = std::from_chars(line.data(), end, step);
  return wrong == std::errc() && after != end && *after == ',' && step >= 1 && step <= last &&
         std::ranges::count(line, ',') == commas;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> out{""};
  for (const char c : line)
    if (c == ',')
      out.emplace_back();
    else
      out.back() += c;
  return out;
}

// A line of a table with the columns `had`, in the columns `wanted`: an older version may have begun the table. Empty
// for a line of another number of cells.
std::string in_columns(const std::string& line, const std::vector<std::string>& had,
                       const std::vector<std::string>& wanted) {
  const std::vector<std::string> cells = cells_of(line);
  if (cells.size() != had.size()) return "";
  std::string out;
  for (std::size_t c = 0; c < wanted.size(); ++c) {
    const auto at = std::ranges::find(had, wanted[c]) - had.begin();
    out += (c > 0 ? "," : "") + (at < std::ssize(had) ? cells[static_cast<std::size_t>(at)] : std::string());
  }
  return out;
}

// Opens a table for more lines; those beyond `first_step` are dropped, and those that are not whole.
void go_on(std::ofstream& out, const std::filesystem::path& path, const std::string& header, std::uint64_t first_step) {
  std::string kept = header + "\n";
  if (first_step > 0 && path_exists(path)) {
    std::istringstream lines(read_file(path));
    std::string line;
    std::getline(lines, line);
    const std::vector<std::string> had = cells_of(line), wanted = cells_of(header);
    const auto commas = std::ranges::count(header, ',');
    while (std::getline(lines, line))
      if (const std::string now = in_columns(line, had, wanted); is_whole_line(now, commas, first_step))
        kept += now + "\n";
  }
  publish(path, kept);
  out.open(path, std::ios::app);
  if (!out) fail(path.string(), ": cannot be written; check the directory's permissions");
}

// "layer3": 3.
std::optional<std::uint32_t> stage_of(const std::string& layer) {
  if (!layer.starts_with("layer") || layer.size() != 6 || layer.back() < '1' || layer.back() > '4') return std::nullopt;
  return static_cast<std::uint32_t>(layer.back() - '0');
}

TrainResult summary_of(const JsonFields& in) {
  TrainResult out;
  out.finished = true;
  out.steps = in.integer<std::uint64_t>("steps");
  out.images_seen = in.integer<std::uint64_t>("images_seen");
  out.left_out_views = in.integer_or<std::uint64_t>("left_out_views", 0);
  out.wall_seconds = in.number("wall_seconds", 0, kMaxRunSeconds);
  out.core_seconds = in.number("core_seconds", 0, kMaxRunSeconds);
  out.wait_share = in.number("wait_share", 0, kMaxRunSeconds);
  out.size = in.integer_or<std::uint32_t>("size", 0);
  if (in.has("judged_on")) {
    const std::string on = in.words("judged_on");
    if (on != "test" && on != "validation") in.damaged("judged_on is neither test nor validation");
    (on == "test" ? out.test : out.validation) =
        Accuracy{in.number("top1", 0, 1), in.number("top5", 0, 1), in.integer<std::uint64_t>("judged_images")};
  }
  if (in.has("skipped_updates")) out.skipped_updates = in.integer<std::uint64_t>("skipped_updates");
  out.allowed = allowed_differences(in);
  if (in.has("stages")) {
    const JsonFields stages = in.object("stages");
    for (const auto& [track, layer] : stages.json().items()) {
      const std::optional<std::uint32_t> stage = stage_of(stages.words(track.c_str()));
      if (!stage) in.damaged(text("stages.", track, " is not one of layer1, ..., layer4"));
      out.stages.emplace_back(track, *stage);
    }
  }
  if (in.has("changes")) out.changes = in.list_of_words("changes");
  return out;
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
        "step,epoch,phase,lr,loss,kl,feature,attention,label,exits,embedding,scale,skipped,seconds,wait_share,core_"
        "seconds",
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
  for (const at::Tensor* term : {&line.terms.output, &line.terms.feature, &line.terms.attention, &line.terms.label,
                                 &line.terms.exits, &line.terms.embedding})
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
  TrainResult out;
  read_run_json(path, "summary", "remove it: the same command makes it again from the run's checkpoint",
                [&](const JsonFields& fields) { out = summary_of(fields); });
  return out;
}

}  // namespace vitrine
