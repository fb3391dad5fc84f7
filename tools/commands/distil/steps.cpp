#include "tools/commands/distil/steps.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <utility>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/base/processor_load.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "tools/commands/vitrine/child.h"
#include "tools/commands/distil/configuration.h"
#include "tools/commands/vitrine/programs.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecord = "distil.json";
constexpr const char* kRecordFormat = "vitrine distil";

std::string percent_of(double share) {
  return decimals(100 * share, 1) + " %";
}

std::string table(const std::vector<std::array<std::string, 3>>& rows) {
  std::size_t first = 0, second = 0;
  for (const auto& row : rows) first = std::max(first, row[0].size()), second = std::max(second, row[1].size());
  std::string out;
  for (const auto& [what, value, why] : rows) {
    out += "  " + what + std::string(first + 2 - what.size(), ' ') + value;
    if (!why.empty()) out += std::string(second + 2 - value.size(), ' ') + why;
    out += "\n";
  }
  return out;
}

// A value of a request; its options that are not given have 0 or no text.
std::string given(const nlohmann::json& value) {
  const bool none = value.is_null() || (value.is_number() && value == 0) || value == "";
  return none ? "not given" : value.dump();
}

std::string differences(const nlohmann::json& before, const nlohmann::ordered_json& now) {
  std::string out;
  for (const auto& [key, value] : now.items()) {
    const nlohmann::json was = before.value(key, nlohmann::json());
    if (given(was) == given(value)) continue;
    out += text(out.empty() ? "" : ", ", key, " was ", given(was), " and is ", given(value));
  }
  return out;
}

std::string pays(const Found& found, const DistilChoice& choice) {
  if (!found.break_even_per_pass) return "never: reading it takes longer than running the teacher";
  const double epochs = *found.break_even_per_pass * choice.passes;
  const auto rounded = static_cast<std::uint64_t>(std::max(1.0, epochs + 0.5));
  const std::string epochs_each = text(rounded, " epochs; this student trains for ", choice.epochs());
  if (epochs <= choice.epochs()) return "with this student: after " + epochs_each;
  return text("from student ", static_cast<std::uint64_t>(epochs / choice.epochs()) + 1, " on: after ", epochs_each);
}

// Whether all that is in `out` was written by write_files(), which was stopped before its record.
bool is_torn(const fs::path& out) {
  return directory_exists(out) && std::ranges::all_of(list_directory(out), [&](const DirectoryEntry& entry) {
           if (is_temporary_name(entry.name) || entry.name == kClassNames) return true;
           return entry.name.ends_with(".toml") && read_file(out / entry.name).starts_with(kWrittenByDistil);
         });
}

}  // namespace

bool begun(const DistilRequest& request) {
  const fs::path out = request.out, record = out / kRecord;
  if (!path_exists(out)) return false;
  if (!path_exists(record)) {
    if (is_torn(out)) return false;
    throw Error(ErrorKind::kInput, {.path = out.string(),
                                    .what = "is not empty, and not a run of vitrine distil",
                                    .remedy = "choose another --out"});
  }
  const nlohmann::json json = parse_json(read_file(record));
  if (!json.is_object() || json.value("format", nlohmann::json()) != kRecordFormat || !json.contains("request"))
    throw Error(ErrorKind::kCorrupt, {.path = record.string(), .what = "is damaged", .remedy = "choose another --out"});
  if (const std::string differs = differences(json["request"], request.json()); !differs.empty())
    throw Error(ErrorKind::kInput, {.path = out.string(),
                                    .what = "holds a run with another request: " + differs,
                                    .remedy = "repeat the command that began it, or choose another --out"});
  return true;
}

FileLock lock_of(const DistilRequest& request) {
  FileLock lock = FileLock::on_file(fs::path(request.out) / kRecord);
  if (lock.try_lock() == FileLock::Outcome::kHeldByAnother)
    throw Error(ErrorKind::kInput, {.path = request.out,
                                    .what = "another process is working on this run",
                                    .remedy = "wait for its end, or choose another --out"});
  return lock;
}

void write_files(const DistilRequest& request, const Found& found, const DistilChoice& choice) {
  const fs::path out = request.out;
  if (!found.class_names.empty()) {
    std::string lines;
    for (const std::string& name : found.class_names) lines += name + "\n";
    publish(out / kClassNames, lines);
  }
  publish(out / "extract.toml", extract_configuration(request, found, choice));
  publish(out / "train.toml", train_configuration(request, found, choice));
  if (request.labels()) publish(out / "baseline.toml", baseline_configuration(request, found, choice));
  const nlohmann::ordered_json record = {{"format", kRecordFormat}, {"version", 1}, {"request", request.json()}};
  publish(out / kRecord, record.dump(2) + "\n");
}

std::vector<DistilStep> steps_of(const DistilRequest& request, const std::vector<std::string>& screen) {
  const fs::path out = request.out;
  const auto file = [&](const char* name) { return (out / name).string(); };
  std::vector<DistilStep> steps = {{"the teacher's targets", "extract", {file("extract.toml")}},
                                   {"the student", "train", {file("train.toml")}}};
  const auto allow = [&](const char* word, DistilStep& step) {
    step.arguments.insert(step.arguments.end(), {"--allow", word});
  };
  if (request.allow_chance) allow("chance", steps[0]);
  if (request.allow_empty) allow("empty", steps[0]);
  for (DistilStep& step : steps) {
    if (request.allow_mixed) allow("mixed", step);
    if (request.allow_module) allow("module", step);
  }
  if (request.baseline) steps.push_back({"the same network from labels alone", "train", {file("baseline.toml")}});
  for (DistilStep& step : steps) step.arguments.insert(step.arguments.end(), screen.begin(), screen.end());
  steps.push_back({"the student as ONNX", "export", {request.out, "--format", "onnx"}});
  DistilStep report{"the report", "report", {request.out, "-o", file("report.html"), "--evaluate"}};
  if (request.baseline) report.arguments.insert(report.arguments.begin() + 1, file("baseline"));
  if (request.allow_module) report.arguments.insert(report.arguments.end(), {"--allow", "module"});
  steps.push_back(std::move(report));
  return steps;
}

int run_steps(const std::vector<DistilStep>& steps, const fs::path& directory, const std::string& own,
              const std::string& command, const StopFlag& stop) {
  const std::size_t slash = own.rfind('/');
  const std::string before = slash == std::string::npos ? "" : own.substr(0, slash + 1);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const DistilStep& step = steps[i];
    std::printf("\n== %zu of %zu: %s\n", i + 1, steps.size(), step.title.c_str());
    std::fflush(stdout);
    const int code =
        stop ? kStoppedExitCode
             : run_program(program_path(directory, step.name), before + "vitrine-" + step.name, step.arguments);
    if (code == 0) continue;
    const bool stopped = code == kStoppedExitCode, killed = code > 128 && !stopped;
    std::printf("\n%s, in step %zu of %zu (%s)\n%s: %s\n",
                stopped  ? "stopped"
                : killed ? text("ended by signal ", code - 128).c_str()
                         : "failed",
                i + 1, steps.size(), step.title.c_str(),
                stopped || killed ? "to resume" : "once it is fixed, resume with", command.c_str());
    return code;
  }
  return 0;
}

std::string summary_of(const DistilRequest& request) {
  const fs::path out = request.out;
  const auto top1_of = [](const fs::path& run) -> std::optional<std::string> {
    if (!file_exists(run / "summary.json")) return std::nullopt;
    const nlohmann::json json = parse_json(read_file(run / "summary.json"));
    if (!json.is_object() || !json.contains("top1") || !json["top1"].is_number()) return std::nullopt;
    return percent_of(json["top1"].get<double>()) + " on the " + json.value("evaluated_on", "validation") + " photos";
  };
  std::string text_of;
  if (const auto student = top1_of(out)) text_of += "\nthe student's top-1: " + *student;
  if (const auto baseline = request.baseline ? top1_of(out / "baseline") : std::nullopt)
    text_of += ", of the same network from labels alone: " + *baseline;
  return text_of + "\nnext: vitrine classify " + request.out + " PHOTO\n";
}

std::string describe(const DistilRequest& request, const Found& found, const DistilChoice& choice) {
  const DistilFacts& facts = found.facts;
  const auto images = static_cast<double>(facts.images);
  std::vector<std::array<std::string, 3>> rows;
  rows.push_back(
      {"photos", text(human_count(found.photos), found.classes > 0 ? text(" in ", found.classes, " classes") : ""),
       found.hold_out > 0
           ? text(percent_of(found.hold_out), found.classes > 0 ? " of each class" : "", " held out for validation")
           : ""});
  if (!found.left_out.empty()) rows.push_back({"left out", found.left_out, ""});
  rows.push_back({"teacher", found.teacher,
                  found.top1 ? text("right on ", percent_of(*found.top1), " of ", found.evaluated, " photos")
                             : text(found.teacher_classes, " classes")});
  rows.push_back({"a pass of the teacher", human_time(images * facts.extract_seconds), found.teacher_precision});
  const double scale = static_cast<double>(choice.size) / facts.teacher_size;
  rows.push_back({"an epoch of the student",
                  human_time(images * (facts.data_seconds + facts.step_seconds * scale * scale)),
                  request.student + ", " + found.precision});
  rows.push_back({"the cache", human_bytes(choice.cache_bytes),
                  facts.free_bytes ? human_bytes(static_cast<double>(*facts.free_bytes)) + " free" : ""});
  rows.push_back({"it saves time", pays(found, choice), ""});
  std::string total = request.hours > 0 ? human_time(3600 * request.hours) + " given" : "";
  if (const std::string uncertain = uncertain_words(found.others); !uncertain.empty())
    total += (total.empty() ? "" : "; ") + uncertain;
  rows.push_back({"in total", "about " + human_time(choice.seconds), total});
  std::string out = "found\n" + table(rows);
  rows.clear();
  for (const auto& [what, value, why] : choice.reasons) rows.push_back({what, value, why});
  out += "\nchosen\n" + table(rows);
  for (const std::string& warning : found.warnings) out += "\nwarning: " + warning + "\n";
  return out;
}

}  // namespace vitrine
