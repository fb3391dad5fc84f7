#include "train/run/run_log.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <system_error>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"

namespace vitrine {
namespace {

// The step of a line if it is a whole event that the checkpoint includes.
std::optional<std::uint64_t> included_step(const nlohmann::ordered_json& line, const LogStart& start) {
  if (!line.is_object() || !line.contains("event") || !line.contains("step")) return std::nullopt;
  const nlohmann::ordered_json& event = line.at("event");
  const auto step = integer_of<std::uint64_t>(line.at("step"));
  if (!event.is_string() || !step || *step > start.step) return std::nullopt;
  if (*step == start.step && ((event == "validation" && start.validation_due) || (event == "end" && !start.finished)))
    return std::nullopt;
  return step;
}

struct IncludedLines {
  std::vector<nlohmann::ordered_json> lines;
  bool repeats_step = false;  // a line of start.step is not included, and is made again
};

IncludedLines included_lines(const std::filesystem::path& path, const LogStart& start) {
  IncludedLines out;
  out.repeats_step = start.step == 0;
  if (start.step == 0 || !path_exists(path)) return out;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    auto json = parse_json<nlohmann::ordered_json>(line);
    if (json.is_discarded()) continue;
    if (included_step(json, start))
      out.lines.push_back(std::move(json));
    else
      out.repeats_step = out.repeats_step || (json.is_object() && json.contains("step") && json["step"] == start.step);
  }
  return out;
}

// A line of mapping.csv that is whole, of a step up to `last`.
bool is_whole_row(const std::string& row, std::ptrdiff_t commas, std::uint64_t last) {
  std::uint64_t step = 0;
  const char* end = row.data() + row.size();
  const auto [after, wrong] = std::from_chars(row.data(), end, step);
  return wrong == std::errc() && after != end && *after == ',' && step >= 1 && step <= last &&
         std::ranges::count(row, ',') == commas;
}

std::string rows_to_keep(const std::filesystem::path& path, const std::string& heading, std::uint64_t last) {
  std::string kept = heading + "\n";
  if (last == 0 || !path_exists(path)) return kept;
  std::istringstream rows(read_file(path));
  std::string row;
  std::getline(rows, row);
  while (std::getline(rows, row))
    if (is_whole_row(row, std::ranges::count(heading, ','), last)) kept += row + "\n";
  return kept;
}

// Publishes `kept`, and opens the file for more lines.
void go_on(std::ofstream& out, const std::filesystem::path& path, const std::string& kept) {
  publish(path, kept);
  out.open(path, std::ios::app);
  if (!out) fail(path.string(), ": cannot be written; check the directory's permissions");
}

void flush(std::ofstream& out, const std::filesystem::path& path) {
  out.flush();
  if (!out) fail(path.string(), ": cannot be written; is the disk full?");
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& directory, const LogStart& start) : files_(directory), start_(start) {
  IncludedLines included = included_lines(files_.metrics(), start);
  // Earlier files of events keep the last step, unless they have more of it than the checkpoint includes.
  events_.emplace(files_.events(), included.repeats_step ? start.step : start.step + 1);
  earlier_ = std::move(included.lines);
  std::string lines, table = metrics_heading() + "\n";
  for (const nlohmann::ordered_json& line : earlier_) {
    lines += line.dump() + "\n";
    if (in_metrics_table(line)) table += metrics_row(line) + "\n";
    if (included.repeats_step && line.at("step") == start.step) add_scalars(line);
    if (line.at("event") == "validation") last_validation_ = line;
  }
  go_on(lines_, files_.metrics(), lines);
  go_on(table_, files_.metrics_table(), table);
}

void RunLog::add_line(const nlohmann::ordered_json& line) {
  lines_ << line.dump() << '\n';
  flush(lines_, files_.metrics());
  if (in_metrics_table(line)) {
    table_ << metrics_row(line) << '\n';
    flush(table_, files_.metrics_table());
  }
  add_scalars(line);
  if (line.at("event") == "validation") last_validation_ = line;
}

void RunLog::add_scalars(const nlohmann::ordered_json& line) {
  const std::string event = line.at("event").get<std::string>(), group = event == "step" ? "train" : event;
  if (event == "phase") return;  // sentences
  std::vector<EventFile::Scalar> scalars;
  for (const auto& [key, value] : line.items())
    if (value.is_number() && key != "step") scalars.push_back({group + "/" + key, value.get<double>()});
  if (!scalars.empty()) events_->add(line.at("step").get<std::uint64_t>(), scalars);
}

void RunLog::add(std::uint64_t step, const Objective::Mapped& mapped) {
  if (!mapping_.is_open())
    go_on(mapping_, files_.mapping(), rows_to_keep(files_.mapping(), "step,stage,track,weight", start_.step));
  const at::Tensor weights = mapped.weights.to(at::kCPU, at::kDouble);
  for (std::size_t s = 0; s < mapped.stages.size(); ++s)
    for (std::size_t t = 0; t < mapped.tracks.size(); ++t)
      mapping_ << step << ',' << mapped.stages[s] << ',' << mapped.tracks[t] << ','
               << weights[static_cast<std::int64_t>(s)][static_cast<std::int64_t>(t)].item<double>() << '\n';
  flush(mapping_, files_.mapping());
}

}  // namespace vitrine
