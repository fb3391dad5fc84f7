// The extractor's small folder and teacher, and runs of the trainer over them: sixteen views per pass in two groups.
#ifndef VITRINE_TESTS_TRAIN_FIXTURE_H_
#define VITRINE_TESTS_TRAIN_FIXTURE_H_

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/config.h"
#include "common/image/scan.h"
#include "tests/extract/fixture.h"
#include "train/run/trainer.h"
#include "train/targets/make_source.h"

namespace vitrine::testing {

struct TrainFixture : ExtractFixture {
  /// Makes or extends the cache "cache": by default two passes with logits, features.0, features.1 and attention.1.
  /// Returns the output.
  std::string make_cache(const std::vector<std::string>& settings = {}) const {
    const CommandResult made = extract("cache", settings);
    INFO(made.output);
    REQUIRE(made.exit_code == 0);
    return made.output;
  }

  /// A slim student, batches of four: four steps per epoch, five epochs in all three phases, so twenty steps.
  TrainOptions options(TargetKind source, const std::string& output) const {
    TrainOptions out;
    out.images = images.string();
    out.output = (root / output).string();
    out.model.width = 8;
    out.batch = 4;
    out.seed = 3;
    out.threads = 1;
    out.device = test_device();
    out.deterministic = on_gpu();  // bit-reproducible on GPUs too
    out.workers = 2;
    out.log_every = 1;
    out.checkpoint_every = 100;  // beyond the end: only the last checkpoint is written
    out.targets.source = source;
    out.plan = {.seed = 7, .group = 8, .shard_groups = 1, .image_size = 32, .mix_probability = 0.8};
    out.schedule.align.epochs = 1;
    out.schedule.joint.epochs = 3;
    out.schedule.fine_tune.epochs = 1;
    if (source == TargetKind::kNone) {
      out.schedule.align.epochs = 0;
      out.targets.passes = 2;
      return out;
    }
    out.targets.features = "features.1";
    out.targets.attention = "attention.1";
    out.transformer.stage = 3;
    if (source == TargetKind::kCache) {
      out.targets.cache = (root / "cache").string();
    } else {
      out.targets.passes = 2;
      out.targets.check_images = 0;  // its weights are random
      TeacherOptions& teacher = out.targets.teacher;
      teacher.name = "small";
      teacher.weights = weights.string();
      teacher.micro_batch = 4;
      teacher.device = test_device();
      teacher.heads = 2;
      out.targets.taps.features = {0, -1};
      out.targets.taps.attention = {-1};
    }
    return out;
  }

  /// The same with only the joint phase: `epochs` of four steps.
  TrainOptions joint(TargetKind source, const std::string& output, double epochs = 1) const {
    TrainOptions out = options(source, output);
    out.schedule.align.epochs = out.schedule.fine_tune.epochs = 0;
    out.schedule.joint.epochs = epochs;
    return out;
  }

  /// The same with logits as the only targets.
  TrainOptions logits_only(TargetKind source, const std::string& output, double epochs = 1) const {
    TrainOptions out = joint(source, output, epochs);
    out.targets.features = out.targets.attention = "";
    out.targets.taps.features = out.targets.taps.attention = {};
    return out;
  }

  std::shared_ptr<const ImageIndex> index() const {
    return std::make_shared<const ImageIndex>(scan_image_folder(images, nullptr));
  }
  std::unique_ptr<TargetSource> source(const TrainOptions& options) const {
    return make_source(options.source_settings(), index());
  }

  /// Writes `options` to train.toml and returns the command line that trains with it; `more` are further arguments.
  std::string train_command(const TrainOptions& options, const std::string& more = {}) const {
    write_whole(root / "train.toml", config_as_toml(options));
    return executable("vitrine-train") + " '" + (root / "train.toml").string() + "' " + more;
  }
};

/// Whole runs from a cache.
struct RunFixture : TrainFixture {
  RunFixture() { make_cache(); }

  /// `epochs` joint epochs of four steps, from the cache.
  TrainOptions joint(const std::string& output, double epochs = 3) const {
    return TrainFixture::joint(TargetKind::kCache, output, epochs);
  }
  /// A folder of 22 images per class, more than one validation batch.
  std::string many_images() const {
    const std::filesystem::path folder = root / "many";
    for (const char* name : {"ant", "bee", "cat"})
      for (int i = 0; i < 22; ++i)
        write_whole(folder / name / (std::to_string(i) + ".jpg"),
                    read_whole(images / name / (std::to_string(i % 5) + ".jpg")));
    return folder.string();
  }
};

/// RAII: calls a function at each max pooling of a network, to act inside a forward without timing.
class AtForward {
 public:
  explicit AtForward(std::function<void()> call) {
    call_ = std::move(call);
    handle_ = at::addGlobalCallback(at::RecordFunctionCallback(&AtForward::meet).scopes({at::RecordScope::FUNCTION}));
  }
  ~AtForward() { at::removeCallback(handle_); }
  AtForward(const AtForward&) = delete;
  AtForward& operator=(const AtForward&) = delete;

 private:
  static std::unique_ptr<at::ObserverContext> meet(const at::RecordFunction& function) {
    if (std::string_view(function.name()) == "aten::max_pool2d") call_();
    return nullptr;
  }
  static inline std::function<void()> call_;
  at::CallbackHandle handle_;
};

/// Deep copies, unaffected by later training.
inline Tensors copies(const Tensors& tensors) {
  Tensors out;
  for (const auto& [name, tensor] : tensors) out.emplace(name, tensor.detach().cpu().clone());
  return out;
}

inline TrainResult train(const TrainOptions& options, const StopFlag& stop = never_stop()) {
  return Trainer(options).run(stop);
}

/// Trains to `max_steps` (0: to the schedule's end) and returns the run's tensors.
inline Tensors trained(TrainOptions options, std::uint64_t max_steps) {
  options.max_steps = max_steps;
  Trainer trainer(options);
  trainer.run(never_stop());
  return copies(trainer.state());
}
inline Tensors trained(const TrainOptions& options) {
  return trained(options, options.max_steps);
}

/// Files of a run's directory: as bytes, as tensors, as JSON.
inline std::string file_of(const TrainOptions& options, const std::string& name) {
  return read_whole(std::filesystem::path(options.output) / name);
}
inline Tensors tensors_of(const TrainOptions& options, const std::string& name) {
  return load_safetensors(std::filesystem::path(options.output) / name);
}
inline nlohmann::json json_of(const TrainOptions& options, const std::string& name) {
  return nlohmann::json::parse(file_of(options, name));
}
inline nlohmann::json summary_of(const TrainOptions& options) {
  return json_of(options, "summary.json");
}

/// The lines of metrics.jsonl whose event is `event`; all of them for an empty one.
inline std::vector<nlohmann::json> metrics_of(const TrainOptions& options, const std::string& event = {}) {
  std::istringstream lines(file_of(options, "metrics.jsonl"));
  std::vector<nlohmann::json> out;
  for (std::string line; std::getline(lines, line);)
    if (auto json = nlohmann::json::parse(line); event.empty() || json.at("event") == event) out.push_back(json);
  return out;
}

/// The names of the tensors that are not bit-equal.
inline std::vector<std::string> differences(const Tensors& a, const Tensors& b) {
  std::vector<std::string> out;
  for (const auto& [name, tensor] : a)
    if (!b.contains(name) || !at::equal(tensor, b.at(name))) out.push_back(name);
  for (const auto& [name, tensor] : b)
    if (!a.contains(name)) out.push_back(name);
  return out;
}

/// The steps in metrics.csv by columns, as text.
inline std::map<std::string, std::vector<std::string>> read_log(const TrainOptions& options) {
  std::istringstream lines(file_of(options, "metrics.csv"));
  std::map<std::string, std::vector<std::string>> out;
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells(line + ",");
    std::vector<std::string> row;
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
    if (names.empty()) {
      names = row;
    } else {
      REQUIRE(row.size() == names.size());
      if (row[1] != "step") continue;  // the columns begin with step and event
      for (std::size_t i = 0; i < row.size(); ++i) out[names[i]].push_back(row[i]);
    }
  }
  return out;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_TRAIN_FIXTURE_H_
