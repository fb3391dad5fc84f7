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
#include "common/config/command_line.h"
#include "tools/commands/distil/configuration.h"
#include "tools/commands/vitrine/programs.h"
#include "tools/inspect/words.h"
#include "train/run_files/run_files.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

std::string pays(const Found& found, const DistilChoice& choice) {
  const std::optional<double> epochs = break_even_epochs(found.costs, choice.passes);
  if (!epochs) return "never: reading it takes longer than running the teacher";
  const auto rounded = static_cast<std::uint64_t>(std::max(1.0, *epochs + 0.5));
  const std::string epochs_each = text(rounded, " epochs; this student trains for ", choice.epochs());
  if (*epochs <= choice.epochs()) return "with this student: after " + epochs_each;
  return text("from student ", static_cast<std::uint64_t>(*epochs / choice.epochs()) + 1, " on: after ", epochs_each);
}

/// A program to run: vitrine-NAME with arguments.
struct ProgramStep {
  std::string title;
  std::string name;
  std::vector<std::string> arguments;
};

}  // namespace

void write_files(const DistilRequest& request, const Found& found, const DistilChoice& choice) {
  const fs::path out = request.out;
  write_class_names(out, found);
  publish(out / kExtractFile, extract_configuration(request, found, choice));
  publish(out / kTrainFile, train_configuration(request, found, choice));
  if (request.labels()) publish(out / kBaselineFile, baseline_configuration(request, found, choice));
}

std::vector<CommandStep> steps_of(const DistilRequest& request, const std::string& own) {
  const fs::path out = request.out;
  const auto file = [&](const char* name) { return (out / name).string(); };
  std::vector<ProgramStep> steps = {{"the teacher's targets", "extract", {file(kExtractFile)}},
                                    {"the student", "train", {file(kTrainFile)}}};
  const auto allow = [&](const char* word, ProgramStep& step) {
    step.arguments.insert(step.arguments.end(), {"--allow", word});
  };
  if (request.allow_chance) allow("chance", steps[0]);
  if (request.allow_empty) allow("empty", steps[0]);
  for (ProgramStep& step : steps) {
    if (request.allow_mixed) allow("mixed", step);
    if (request.allow_module) allow("module", step);
  }
  if (request.baseline) steps.push_back({"the same network from labels alone", "train", {file(kBaselineFile)}});
  steps.push_back({"the student as ONNX", "export", {request.out, "--format", "onnx"}});
  ProgramStep report{
      "the report", "report", {request.out, "-o", RunFiles(request.out).report().string(), "--evaluate"}};
  if (request.baseline) report.arguments.insert(report.arguments.begin() + 1, file("baseline"));
  if (request.allow_module) report.arguments.insert(report.arguments.end(), {"--allow", "module"});
  steps.push_back(std::move(report));
  std::vector<CommandStep> all;
  for (ProgramStep& step : steps)
    all.push_back({step.title, [own, name = std::move(step.name), arguments = std::move(step.arguments)] {
                     return run_beside(own, name, arguments);
                   }});
  return all;
}

std::string summary_of(const DistilRequest& request, const std::string& own) {
  const fs::path out = request.out;
  struct Top1 {
    double value;
    std::string words;
    std::string images;
  };
  const auto top1_of = [](const fs::path& run) -> std::optional<Top1> {
    const fs::path summary = RunFiles(run).summary();
    if (!file_exists(summary)) return std::nullopt;
    const nlohmann::json json = parse_json(read_file(summary));
    if (!json.is_object() || !json.contains("top1") || !json["top1"].is_number()) return std::nullopt;
    const auto word = [&](const char* key) {
      return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string();
    };
    const double value = json["top1"].get<double>();
    return Top1{value,
                text(percent_words(value, 1), " on the ", word("evaluated_on"), " photos",
                     word("weights") == "best" ? ", with its best weights" : ""),
                word("evaluated_on")};
  };
  std::string text_of;
  const std::optional<Top1> student = top1_of(out),
                            baseline = request.baseline ? top1_of(out / "baseline") : std::nullopt;
  if (student) text_of += "\nthe student's top-1: " + student->words;
  if (baseline) text_of += "; of the same network from labels alone: " + baseline->words;
  if (student && baseline && student->images == baseline->images && student->value <= baseline->value)
    text_of +=
        "\nwarning: the teacher's targets gained nothing over labels alone; check the teacher's own accuracy on "
        "these photos, and the warnings of the run";
  const std::string classify = shown_name(own, "classify");
  const std::array words{classify.c_str(), request.out.c_str(), "PHOTO"};
  return text_of + "\nnext: " + shell_command(static_cast<int>(words.size()), words.data()) + "\n";
}

std::string describe(const DistilRequest& request, const Found& found, const DistilChoice& choice) {
  const DistilFacts& facts = found.facts;
  const auto images = static_cast<double>(facts.images);
  std::vector<std::vector<std::string>> rows;
  rows.push_back(
      {"photos", text(human_count(found.photos), found.classes > 0 ? text(" in ", found.classes, " classes") : ""),
       found.hold_out > 0 ? text(human_count(found.held_out), " held out for validation: ",
                                 percent_words(found.hold_out, 1), " of each ", found.classes > 0 ? "class" : "folder")
                          : ""});
  if (!found.left_out.empty()) rows.push_back({"left out", found.left_out, ""});
  rows.push_back({"teacher", found.teacher,
                  found.top1 ? text("right on ", percent_words(*found.top1, 1), " of ", found.evaluated, " photos")
                             : text(found.teacher_classes, " classes")});
  rows.push_back({"a pass of the teacher", human_time(images * facts.extract_seconds), found.teacher_precision});
  const double scale = static_cast<double>(choice.size) / facts.teacher_size;
  rows.push_back({"an epoch of the student",
                  human_time(images * (facts.data_seconds + facts.step_seconds * scale * scale)),
                  request.student + ", " + found.precision});
  rows.push_back({"the cache", human_bytes(choice.cache_bytes),
                  facts.free_bytes ? human_bytes(static_cast<double>(*facts.free_bytes)) + " free" : ""});
  rows.push_back({"checkpoints and weights", "about " + human_bytes(choice.run_bytes),
                  facts.one_disk         ? "on the same disk"
                  : facts.run_free_bytes ? human_bytes(static_cast<double>(*facts.run_free_bytes)) + " free"
                                         : ""});
  rows.push_back({"it saves time", pays(found, choice), ""});
  std::string total = request.hours > 0 ? human_time(3600 * request.hours) + " given" : "";
  for (const std::string& more :
       {std::string(request.baseline ? "with the baseline" : ""), uncertain_words(found.others)})
    if (!more.empty()) total += (total.empty() ? "" : "; ") + more;
  rows.push_back({"in total", "about " + human_time(choice.seconds), total});
  std::string out = "found\n" + table_words(rows);
  rows.clear();
  for (const auto& [what, value, why] : choice.reasons) rows.push_back({what, value, why});
  out += "\nchosen\n" + table_words(rows);
  for (const std::string& warning : found.warnings) out += "\nwarning: " + warning + "\n";
  return out;
}

}  // namespace vitrine
