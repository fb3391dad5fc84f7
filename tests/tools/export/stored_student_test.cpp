// The student of a run or a file, and which of a run's weights are taken.
#include <ATen/ATen.h>

#include "common/base/error.h"
#include "common/base/files.h"
#include "tests/support/message.h"
#include "tests/tools/export/random_student.h"
#include "train/run/checkpoint.h"
#include "train/run_files/run_files.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// A run with best and last weights and a checkpoint whose average differs from its weights.
struct Run {
  TemporaryDirectory root;
  RunFiles files{root.path()};
  WeightsRecord record = resnet_record();
  Tensors best = save_student(files.best_weights(), record, 1), last = save_student(files.last_weights(), record, 2);
  Tensors average = random_weights(record, 3), raw = random_weights(record, 4);

  Run() {
    Tensors tensors{{"ema.updates", at::full({}, 7, at::kLong)}};
    for (const auto& [name, tensor] : average) tensors.emplace("ema." + name, tensor);
    for (const auto& [name, tensor] : raw) tensors.emplace("model." + name, tensor);
    Checkpoint checkpoint;
    checkpoint.step = 12;
    save_checkpoint(root.path(), checkpoint, tensors, record.metadata());
  }
  std::filesystem::path checkpoint() const { return files.checkpoints() / "checkpoint-12.safetensors"; }
};

}  // namespace

TEST_CASE("of a run the best weights are taken, the last or the checkpoint's own where they are chosen") {
  const Run run;
  CHECK(same(read_student(run.root.path()).weights, run.best));
  CHECK(same(read_student(run.root.path(), WeightsChoice::kBest).weights, run.best));
  CHECK(same(read_student(run.root.path(), WeightsChoice::kLast).weights, run.last));
  CHECK(same(read_student(run.root.path(), WeightsChoice::kRaw).weights, run.raw));
  CHECK(same(read_student(run.checkpoint()).weights, run.average));
  CHECK(same(read_student(run.checkpoint(), WeightsChoice::kRaw).weights, run.raw));
}

TEST_CASE("a run without best weights gives its last, and one that has not ended the checkpoint's average") {
  const Run run;
  remove_file(run.files.best_weights());
  CHECK(same(read_student(run.root.path()).weights, run.last));
  CHECK(has(message_of([&] { read_student(run.root.path(), WeightsChoice::kBest); }), "holds no best weights"));
  remove_file(run.files.last_weights());
  CHECK(same(read_student(run.root.path()).weights, run.average));
  CHECK(same(read_student(run.root.path(), WeightsChoice::kLast).weights, run.average));
}

TEST_CASE("a file has no choice, and only a checkpoint has raw weights") {
  const Run run;
  const std::filesystem::path file = run.files.best_weights();
  CHECK(has(message_of([&] { read_student(file, WeightsChoice::kBest); }), "is not a run's directory"));
  CHECK(has(message_of([&] { read_student(file, WeightsChoice::kRaw); }), "is not a checkpoint"));
}

TEST_CASE("weights without a record, and weights of another model than the record's, are refused by their file") {
  const TemporaryDirectory root;
  const WeightsRecord record = resnet_record();
  save_safetensors(root / "plain.safetensors", random_weights(record));
  const std::string message = message_of([&] { read_student(root / "plain.safetensors"); });
  CHECK(has(message, "plain.safetensors: does not record which model"));
  save_safetensors(root / "other.safetensors", random_weights(record), resnet_record("resnet50").metadata());
  const StoredStudent other = read_student(root / "other.safetensors");
  CHECK(has(message_of([&] { network_of(other, at::kCPU); }), "other.safetensors"));
  CHECK(message_of([&] { read_student(root / "absent.safetensors"); }) != "");
}
