#include "tools/commands/report/run.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/base/paths.h"
#include "train/run_files/run_files.h"

namespace vitrine {
namespace {

/// Values of summary.json of the expected type and range; others become sentences in `problems`.
class SummaryReader {
 public:
  SummaryReader(const nlohmann::ordered_json& json, std::string where, std::vector<std::string>& problems)
      : json_(json), where_(std::move(where)), problems_(problems) {}

  void count(const char* key, std::optional<std::uint64_t>& out) { take(key, "a number of things", out, integer); }
  void share(const char* key, std::optional<double>& out) {
    take(key, "a share in [0, 1]", out, [](const auto& value) { return number(value, 1); });
  }
  void seconds(const char* key, std::optional<double>& out) {
    take(key, "a number of seconds", out, [](const auto& value) { return number(value, 1e12); });
  }
  std::string words(const char* key) const {
    const auto found = json_.find(key);
    return found != json_.end() && found->is_string() ? found->template get<std::string>() : "";
  }
  const nlohmann::ordered_json* find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() ? nullptr : &*found;
  }

 private:
  static std::optional<std::uint64_t> integer(const nlohmann::ordered_json& value) {
    return integer_of<std::uint64_t>(value);
  }
  static std::optional<double> number(const nlohmann::ordered_json& value, double most) {
    if (!value.is_number()) return std::nullopt;
    const double number = value.get<double>();
    return number >= 0 && number <= most ? std::optional(number) : std::nullopt;
  }
  template <class Value, class Convert>
  void take(const char* key, const char* expected, std::optional<Value>& out, const Convert& convert) {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return;
    out = convert(*found);
    if (!out) problems_.push_back(text(where_, ": ", key, " is not ", expected, " and is left out"));
  }

  const nlohmann::ordered_json& json_;
  std::string where_;
  std::vector<std::string>& problems_;
};

ImagesRecord images_of(const SummaryReader& in, const char* key) {
  ImagesRecord out;
  const nlohmann::ordered_json* images = in.find(key);
  if (images == nullptr || !images->is_object()) return out;
  for (const auto& [name, value] : {std::pair("folder", &out.folder), std::pair("hash", &out.hash)})
    if (images->contains(name) && (*images)[name].is_string()) *value = (*images)[name].get<std::string>();
  return out;
}

std::vector<std::string> remarks_of(const SummaryReader& in) {
  std::vector<std::string> out;
  if (const auto* allowed = in.find("allowed"); allowed != nullptr && allowed->is_array())
    for (const auto& entry : *allowed)
      if (entry.is_object() && entry.contains("difference") && entry["difference"].is_string())
        out.push_back("Allowed: " + entry["difference"].get<std::string>());
  if (const auto* changes = in.find("changes"); changes != nullptr && changes->is_array())
    for (const auto& entry : *changes)
      if (entry.is_string()) out.push_back("Changed: " + entry.get<std::string>());
  std::optional<std::uint64_t> left_out;
  if (const auto* count = in.find("left_out_views")) left_out = integer_of<std::uint64_t>(*count);
  if (left_out && *left_out > 0) out.push_back(text(*left_out, " views could not be read and were left out"));
  return out;
}

RunSummary summary_of(const nlohmann::ordered_json& json, const std::string& where,
                      std::vector<std::string>& problems) {
  SummaryReader in(json, where, problems);
  RunSummary out;
  in.count("steps", out.steps);
  in.count("images_seen", out.images_seen);
  in.count("evaluated_images", out.evaluated_images);
  in.count("size", out.size);
  in.seconds("wall_seconds", out.wall_seconds);
  in.seconds("core_seconds", out.core_seconds);
  in.share("wait_share", out.wait_share);
  in.share("top1", out.top1);
  in.share("top5", out.top5);
  in.share("last_top1", out.last_top1);
  in.share("last_top5", out.last_top5);
  in.share("validation_top1", out.validation_top1);
  in.share("validation_agreement", out.validation_agreement);
  out.evaluated_on = in.words("evaluated_on");
  out.test_images = images_of(in, "test_images");
  out.validation_images = images_of(in, "validation_images");
  out.weights = in.words("weights") == "best" ? "best" : "last";
  if (const auto* best = in.find("best"); best != nullptr && best->is_object()) {
    SummaryReader inner(*best, where + ": best", problems);
    inner.count("step", out.best_step);
    inner.count("epoch", out.best_epoch);
    inner.share("score", out.best_score);
    out.best_chosen_by = inner.words("chosen_by");
  }
  if (const auto* stages = in.find("stages"); stages != nullptr && stages->is_object())
    for (const auto& [track, stage] : stages->items())
      if (stage.is_string()) out.stages.emplace_back(track, stage.get<std::string>());
  out.remarks = remarks_of(in);
  return out;
}

// Runs `read`; an Error becomes a sentence.
template <class Read>
void attempt(std::vector<std::string>& problems, const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kMemory || error.kind() == ErrorKind::kInternal) throw;
    problems.push_back(error.what());
  }
}

void read_summary_file(Run& run) {
  const std::filesystem::path path = RunFiles(run.directory).summary();
  if (!path_exists(path)) return;
  const auto json = parse_json<nlohmann::ordered_json>(read_file(path));
  if (!json.is_object())
    throw Error(ErrorKind::kCorrupt, {.path = path.string(),
                                      .what = "is no JSON object, or is cut off",
                                      .remedy = "remove it: vitrine-train makes it again from the checkpoint"});
  run.summary = summary_of(json, path.string(), run.problems);
}

void read_evaluation_file(Run& run) {
  run.evaluation = read_evaluation(run.directory);
  if (!run.evaluation || run.evaluation->weights_sha256.empty()) return;
  // In the run, whose path was typed from some folder and may have changed.
  const std::filesystem::path named = run.evaluation->weights;
  const std::filesystem::path weights = run.directory / named.parent_path().filename() / named.filename();
  const auto outdated = [&](const std::string& what) {
    throw Error(ErrorKind::kInput, {.path = RunFiles(run.directory).evaluation().string(),
                                    .what = what,
                                    .remedy = "evaluate the run again with --evaluate"});
  };
  if (!file_exists(weights)) outdated(text("may be outdated: its weights, ", weights.string(), ", are not there"));
  if (sha256_hex_of_file(weights) != run.evaluation->weights_sha256)
    outdated(text("is of weights that ", weights.string(), " no longer has"));
}

void read_cache(Run& run) {
  if (setting_of(run.configuration, "targets.source") != "cache") return;
  const std::string directory = setting_of(run.configuration, "targets.cache");
  if (directory.empty()) return;
  if (!path_exists(directory))
    throw Error(ErrorKind::kInput,
                {.path = directory,
                 .what = "the run's cache is not there",
                 .remedy = "run vitrine-report where the path of targets.cache leads to it, to see what is in it"});
  run.cache = read_cache_facts(directory);
}

Run read_run(const std::filesystem::path& directory, const std::string& name) {
  const RunFiles files(directory);
  Run run;
  run.directory = directory;
  run.name = name;
  attempt(run.problems, [&] {
    const std::filesystem::path path = files.metrics();
    if (!path_exists(path)) fail(path.string(), ": is missing, so there are no curves");
    run.metrics = read_metrics(path);
    if (run.metrics.unread > 0)
      run.problems.push_back(text(path.string(), ": ", run.metrics.unread, " lines cannot be read and are left out"));
    if (run.metrics.repeated > 0)
      run.problems.push_back(text(path.string(), ": ", run.metrics.repeated,
                                  " lines are of steps that an earlier line has, and are left out"));
  });
  attempt(run.problems, [&] { read_summary_file(run); });
  attempt(run.problems, [&] { run.configuration = read_settings(files.config()); });
  attempt(run.problems, [&] { read_evaluation_file(run); });
  attempt(run.problems, [&] { read_cache(run); });
  return run;
}

// The shortest endings of the paths, in whole components, that differ from each other.
std::vector<std::string> short_names(const std::vector<std::filesystem::path>& paths) {
  const auto ending = [](const std::filesystem::path& path, std::size_t components) {
    std::filesystem::path out;
    std::filesystem::path left = path;
    for (std::size_t i = 0; i < components && left.has_filename(); ++i) {
      out = out.empty() ? left.filename() : left.filename() / out;
      left = left.parent_path();
    }
    return out.string();
  };
  std::vector<std::string> out;
  for (const auto& path : paths) {
    std::size_t components = 1;
    const auto is_taken = [&] {
      return std::ranges::any_of(paths, [&](const auto& other) {
        return other != path && ending(other, components) == ending(path, components);
      });
    };
    const auto all = static_cast<std::size_t>(std::distance(path.begin(), path.end()));
    while (components < all && is_taken()) ++components;
    out.push_back(ending(path, components).empty() ? path.string() : ending(path, components));
  }
  return out;
}

void check_is_run(const std::filesystem::path& directory) {
  const auto refuse = [&](const char* what) {
    throw Error(ErrorKind::kInput, {.path = directory.string(),
                                    .what = what,
                                    .remedy = "give the directory that vitrine-train wrote (its key output)"});
  };
  if (directory.empty()) fail("the name of a run's directory is empty; give the one that vitrine-train wrote");
  if (!path_exists(directory)) refuse("does not exist");
  if (!directory_exists(directory)) refuse("is not a directory");
  if (const RunFiles files(directory); !file_exists(files.metrics()) && !file_exists(files.summary()))
    refuse("is not a run: it has neither metrics.jsonl nor summary.json");
}

}  // namespace

void check_runs(const std::vector<std::string>& directories) {
  for (std::size_t i = 0; i < directories.size(); ++i) {
    check_is_run(directories[i]);
    for (std::size_t j = 0; j < i; ++j)
      if (same_file(directories[i], directories[j])) fail(directories[i], ": is given twice; give each run once");
  }
}

std::vector<Run> read_runs(const std::vector<std::string>& directories) {
  check_runs(directories);
  std::vector<std::filesystem::path> paths;
  for (const std::string& directory : directories) paths.push_back(path_from_root(directory));  // "." has a name then
  const std::vector<std::string> names = short_names(paths);
  std::vector<Run> runs(paths.size());
  tbb::parallel_for(std::size_t{0}, runs.size(), [&](std::size_t i) { runs[i] = read_run(directories[i], names[i]); });
  return runs;
}

}  // namespace vitrine
