#include "tools/commands/pilot/trial.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/base/local_ranks.h"
#include "common/base/paths.h"
#include "common/base/progress.h"
#include "common/base/screen.h"
#include "common/cache/cache.h"
#include "common/config/config.h"
#include "common/models/device.h"
#include "common/models/precision.h"
#include "common/teacher/class_name_match.h"
#include "common/teacher/teacher.h"
#include "extract/evaluate.h"
#include "train/evaluation/evaluate.h"
#include "train/run/stored_student.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

fs::path folder_of(const PilotRequest& request, const PilotTeacher& teacher) {
  return path_from_root(request.out) / teacher.name;
}

std::vector<std::string> with_options(const PilotRequest& request, const fs::path& configuration) {
  std::vector<std::string> out = {configuration.string()};
  if (request.allow_module) out.insert(out.end(), {"--allow", "module"});
  if (request.allow_mixed) out.insert(out.end(), {"--allow", "mixed"});
  return out;
}

// The teacher on the held-out pictures.
void evaluate(const PilotRequest& request, const PilotTeacher& teacher, const StopFlag& stop) {
  ExtractOptions options = extract_options(request, teacher);
  options.images = held_out_folder(request).string();
  std::vector<std::string> folders;
  for (const DirectoryEntry& entry : list_directory(options.images)) folders.push_back(entry.name);
  Json out;
  const bool knows_classes = [&] {
    const QuietScreen quiet;  // it is opened again, and prints its notes then
    const Teacher network(options.teacher, options.taps);
    out["teacher"] = network.options().name;
    // With the logits of other classes an evaluation says what is to be done.
    return network.classes() > 0 &&
           (options.taps.logits || (static_cast<std::size_t>(network.classes()) == folders.size() &&
                                    compare_class_names(network.class_names(), folders) != ClassNameMatch::kPartial));
  }();
  out["top1"] = nullptr, out["core_ms_per_image"] = nullptr;
  if (knows_classes) {
    const TeacherEvaluation score = evaluate_teachers({options}, request.held_out, stop).front();
    out["top1"] = score.top1, out["core_ms_per_image"] = score.core_milliseconds;
    std::printf("%s", as_table({score}).c_str());
  } else {
    std::printf(
        "%s has no head for these classes, so it has no top-1: it teaches by features, attention and the embedding\n",
        out["teacher"].get<std::string>().c_str());
  }
  publish(folder_of(request, teacher) / kTeacherFile, out.dump(2) + "\n");
}

int train(const PilotRequest& request, const PilotTeacher& teacher, const std::string& own) {
  TrainOptions options = train_options(request, teacher);
  const Cache cache(options.targets.cache);
  int features = -1, attention = -1;  // the last blocks
  for (const TrackInfo& track : cache.tracks()) {
    if (track.kind == "features" && track.block > features) {
      features = track.block;
      options.targets.features = track.name();
    } else if (track.kind == "attention" && track.block > attention) {
      attention = track.block;
      options.targets.attention = track.name();
    } else if (track.kind == "embedding") {
      options.targets.embedding = true;
    }
  }
  if (features >= 0) options.schedule.align.epochs = 1;
  load_config({}, request.overrides, options);  // once more: what the user sets is not replaced
  const fs::path file = folder_of(request, teacher) / "train.toml";
  publish(file, config_changes(options));
  return run_beside(own, "train", with_options(request, file));
}

// Of the last weights: the best of a run were chosen on the same pictures.
StudentAnswers answers_of(const PilotRequest& request, const TrainOptions& options, const StopFlag& stop) {
  const at::Device device = select_device(options.device);
  at::set_num_threads(static_cast<int>(options.threads > 0 ? options.threads : default_threads()));
  const StoredStudent stored = read_student(options.output, WeightsChoice::kLast);
  const WeightsRecord& record = stored.record;
  Network network = network_of(stored, device);
  const PrecisionScope precision(record.precision, device, "precision");
  EvaluationOptions how;
  how.size = static_cast<int>(record.size);
  how.crop_pct = record.crop_pct;
  how.mean = record.mean, how.stddev = record.stddev;
  how.decoding = record.decoding;
  how.precision = record.precision;
  how.workers = options.workers;
  const Evaluation evaluation(held_out_folder(request), {record.classes, record.class_count, stored.file.string()}, how,
                              stop);
  StudentAnswers out;
  Progress progress("the student's answers", "images", evaluation.index().images.size());
  evaluation.visit(
      network, device,
      [&](const at::Tensor& logits, const at::Tensor& labels, std::span<const std::uint32_t> images) {
        // As AccuracyCounts does: a class that scores as high as the label counts against the student, and so does NaN.
        const at::Tensor right = logits.ge(logits.gather(1, labels.unsqueeze(1))).sum(1).eq(1).to(at::kCPU);
        for (std::size_t i = 0; i < images.size(); ++i)
          out[evaluation.index().images[images[i]].id] = right[static_cast<std::int64_t>(i)].item<bool>();
        progress.advance(images.size());
      },
      stop);
  progress.finish();
  return out;
}

std::uint64_t bytes_below(const fs::path& directory) {
  std::uint64_t bytes = 0;
  for (const auto& [name, kind] : list_directory(directory)) {
    if (kind == DirectoryEntry::Kind::kFile) bytes += file_bytes(directory / name);
    if (kind == DirectoryEntry::Kind::kDirectory) bytes += bytes_below(directory / name);
  }
  return bytes;
}

double bytes_per_view(const fs::path& directory) {
  const Cache cache(directory);
  const std::uint64_t bytes = bytes_below(directory);
  const auto views = static_cast<double>(cache.plan().layout().views_per_pass() * cache.recipe_passes().size());
  return views > 0 ? static_cast<double>(bytes) / views : 0;
}

[[noreturn]] void damaged(const fs::path& file) {
  throw Error(ErrorKind::kCorrupt,
              {.path = file.string(), .what = "is damaged", .remedy = "remove it, and repeat the command"});
}

Json read_json(const fs::path& file) {
  Json json = parse_json<Json>(read_file(file));
  if (!json.is_object()) damaged(file);
  return json;
}

std::optional<double> number_in(const Json& json, const char* key) {
  return json.contains(key) && json[key].is_number() ? std::optional(json[key].get<double>()) : std::nullopt;
}

void score(const PilotRequest& request, const PilotTeacher& teacher, const StopFlag& stop) {
  const fs::path folder = folder_of(request, teacher);
  const TrainOptions options = train_options(request, teacher);
  Json out = read_json(folder / kTeacherFile);
  out["bytes_per_view"] = bytes_per_view(options.targets.cache);
  Json right = Json::array(), wrong = Json::array();
  for (const auto& [id, is_right] : answers_of(request, options, stop)) (is_right ? right : wrong).push_back(id);
  out["right"] = std::move(right), out["wrong"] = std::move(wrong);
  publish(folder / kResultFile, out.dump(2) + "\n");
}

// The cache has taught the only student that can use it.
void remove_cache(const PilotRequest& request, const PilotTeacher& teacher) {
  if (request.keep) return;
  const fs::path cache = extract_options(request, teacher).cache;
  std::error_code failure;
  fs::remove_all(cache, failure);
  if (failure) note("warning: " + cache.string() + ": cannot be removed (" + failure.message() + ")");
}

}  // namespace

std::vector<CommandStep> steps_of(const PilotRequest& request, const PilotTeacher& teacher, const std::string& own,
                                  const StopFlag& stop) {
  const fs::path folder = folder_of(request, teacher);
  if (path_exists(folder / kResultFile)) {
    remove_cache(request, teacher);
    return {};
  }
  std::vector<CommandStep> out;
  if (!path_exists(folder / kTeacherFile))
    out.push_back({teacher.name + ", its top-1", [&request, &teacher, &stop] {
                     evaluate(request, teacher, stop);
                     return 0;
                   }});
  out.push_back({teacher.name + ", its targets", [&request, &teacher, own, folder] {
                   const fs::path file = folder / "extract.toml";
                   publish(file, config_changes(extract_options(request, teacher)));
                   return run_beside(own, "extract", with_options(request, file));
                 }});
  out.push_back({teacher.name + ", its student", [&request, &teacher, own] { return train(request, teacher, own); }});
  out.push_back({teacher.name + ", the student's answers", [&request, &teacher, &stop] {
                   score(request, teacher, stop);
                   remove_cache(request, teacher);
                   return 0;
                 }});
  return out;
}

TrialResult result_of(const PilotRequest& request, const PilotTeacher& teacher) {
  const fs::path file = folder_of(request, teacher) / kResultFile;
  const Json json = read_json(file);
  TrialResult out{.name = teacher.name, .config = teacher.config};
  const std::optional<double> bytes = number_in(json, "bytes_per_view");
  if (!bytes || !json.contains("teacher") || !json["teacher"].is_string()) damaged(file);
  out.teacher = json["teacher"].get<std::string>();
  out.top1 = number_in(json, "top1"), out.core_ms = number_in(json, "core_ms_per_image");
  out.view_bytes = *bytes;
  for (const auto& [key, right] : {std::pair("right", true), std::pair("wrong", false)}) {
    if (!json.contains(key) || !json[key].is_array()) damaged(file);
    for (const Json& id : json[key]) {
      if (!id.is_string()) damaged(file);
      out.answers[id.get<std::string>()] = right;
    }
  }
  if (out.answers.empty()) damaged(file);
  return out;
}

}  // namespace vitrine
