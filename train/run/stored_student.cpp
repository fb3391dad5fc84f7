#include "train/run/stored_student.h"

#include <ATen/ATen.h>

#include <optional>
#include <string_view>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/models/weights/load.h"
#include "train/run/checkpoint.h"
#include "train/run_files/run_files.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRawPrefix = "model.";

[[noreturn]] void refuse_choice(const fs::path& path, const std::string& what, const std::string& remedy) {
  throw Error(ErrorKind::kInput, {.path = path.string(), .what = what, .remedy = remedy});
}

// The tensors of the last checkpoint of a run.
fs::path checkpoint_file(const fs::path& run) {
  const std::optional<Checkpoint> last = read_checkpoint(run);
  if (!last) refuse_choice(run, "holds no checkpoint", "give a run's directory");
  return RunFiles(run).checkpoints() / last->tensors_file;
}

fs::path chosen_file(const fs::path& path, WeightsChoice choice) {
  if (path.empty()) fail("the student's path is empty; give a run's directory or a file of weights");
  if (!directory_exists(path)) {
    if (choice == WeightsChoice::kBest || choice == WeightsChoice::kLast)
      refuse_choice(path, "is not a run's directory, so it has no choice of best and last weights",
                    "give the directory, or leave the choice out");
    return path;
  }
  const RunFiles run(path);
  switch (choice) {
    case WeightsChoice::kAuto:
      return weights_file(path);
    case WeightsChoice::kBest:
      if (path_exists(run.best_weights())) return run.best_weights();
      refuse_choice(path, "holds no best weights: no validation selected any", "take the last weights");
    case WeightsChoice::kLast:
      if (path_exists(run.last_weights())) return run.last_weights();
      break;
    case WeightsChoice::kRaw:
      break;
  }
  return checkpoint_file(path);
}

[[noreturn]] void refuse_raw(const fs::path& file) {
  refuse_choice(file, "is not a checkpoint, so it does not have the weights before averaging",
                "give a run's directory or its checkpoint-STEP.safetensors");
}

// The checkpoint's own weights.
Tensors raw_weights(const fs::path& file) {
  Tensors out;
  for (const auto& [name, tensor] : load_safetensors(file))
    if (name.starts_with(kRawPrefix)) out.emplace(name.substr(std::string_view(kRawPrefix).size()), tensor);
  if (out.empty()) refuse_raw(file);
  return out;
}

}  // namespace

StoredStudent read_student(const fs::path& run_or_file, WeightsChoice choice) {
  StoredStudent out;
  out.file = chosen_file(run_or_file, choice);
  const std::string where = out.file.string();
  if (choice == WeightsChoice::kRaw && is_torch_file(out.file)) refuse_raw(out.file);
  std::optional<WeightsRecord> record = WeightsRecord::parse(weights_metadata(out.file), where);
  if (!record)
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = "does not record which model its weights are of",
                                    .remedy = "give a run's directory or a file of weights that Vitrine wrote"});
  out.record = *std::move(record);
  out.weights = choice == WeightsChoice::kRaw ? raw_weights(out.file) : checkpoint_weights(out.file);
  out.sha256 = sha256_hex_of_file(out.file);
  return out;
}

Network network_of(const StoredStudent& student, at::Device device) {
  Network network(student.record.model, static_cast<int>(student.record.class_count), device);
  load_weights(network.module(), student.weights, student.file.string());
  network.eval_mode();
  return network;
}

}  // namespace vitrine
