// Whole runs of the trainer on tiny data: what must be equal to the bit, and what each phase may change.
#include <torch/torch.h>

#include "common/base/error.h"
#include "common/image/scan.h"
#include "tests/extract/fixture.h"
#include "train/stream.h"
#include "train/trainer.h"

namespace vitrine {
namespace {

using testing::ExtractFixture;

const std::atomic<bool> kNeverStop{false};

struct Runs {
  ExtractFixture data;

  Runs() {
    const auto made = data.extract("cache", {"passes=4"});
    if (made.exit_code != 0) throw std::runtime_error(made.output);
  }

  TrainOptions options(const std::string& output) const {
    TrainOptions o;
    o.images = data.images.string();
    o.output = (data.root / output).string();
    o.batch = 4;
    o.threads = 1;
    o.workers = 2;
    o.log_every = 1;
    o.checkpoint_every = 100;
    o.targets.source = TargetKind::kCache;
    o.targets.cache = (data.root / "cache").string();
    o.targets.features = "features.1";
    o.targets.attention = "attention.1";
    // What the live teacher is given, so that its targets are the cache's.
    o.targets.passes = 4;
    o.targets.teacher.name = "small";
    o.targets.teacher.weights = data.weights.string();
    o.targets.teacher.micro_batch = 4;
    o.targets.teacher.vit.arch = "";
    o.targets.teacher.vit.image_size = 32;
    o.targets.teacher.vit.patch = 8;
    o.targets.teacher.vit.dim = 16;
    o.targets.teacher.vit.depth = 2;
    o.targets.teacher.vit.heads = 2;
    o.targets.teacher.vit.classes = 3;
    o.targets.taps.features = {0, -1};
    o.targets.taps.attention = {-1};
    o.plan.seed = 7;
    o.plan.group = 8;
    o.plan.shard_groups = 1;
    o.plan.image_size = 32;
    o.plan.mix_probability = 0.8;
    // Four steps an epoch: 4 of align, 8 of joint, 8 of fine-tune.
    o.schedule.align.epochs = 1;
    o.schedule.joint.epochs = 2;
    o.schedule.fine_tune.epochs = 2;
    return o;
  }
};

Tensors trained(const TrainOptions& options) {
  Trainer trainer(options);
  trainer.run(kNeverStop);
  Tensors out;
  for (const auto& [name, tensor] : trainer.state()) out.emplace(name, tensor.clone());
  return out;
}

// The first tensor that differs in a bit; empty: none.
std::string first_difference(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size()) return "number of tensors";
  for (const auto& [name, tensor] : a)
    if (!b.contains(name) || !at::equal(tensor, b.at(name))) return name;
  return "";
}

TEST_CASE("a live teacher through the codec trains to the same bits as its cache, for 20 FP32 steps") {
  const Runs runs;
  const TrainOptions cached = runs.options("cached");
  TrainOptions live = runs.options("live");
  live.targets.source = TargetKind::kTeacher;
  const Tensors from_cache = trained(cached);
  CHECK(first_difference(from_cache, trained(live)) == "");
  // Without the codec the targets are others, or this test would prove nothing.
  live.output += "-raw";
  live.targets.through_codec = false;
  CHECK(first_difference(from_cache, trained(live)) != "");
}

TEST_CASE("a run that stops inside an epoch, and inside a group, resumes to the same bits") {
  const Runs runs;
  const Tensors unbroken = trained(runs.options("unbroken"));
  TrainOptions broken = runs.options("broken");
  broken.resume = true;
  for (const std::uint64_t stop : {3u, 9u, 14u, 0u}) {
    broken.max_steps = stop;
    broken.workers = stop % 2 == 0 ? 1 : 3;  // workers do not matter
    const Tensors state = trained(broken);
    if (stop == 0) CHECK(first_difference(unbroken, state) == "");
  }
}

TEST_CASE("each phase changes exactly the tensors that it names") {
  const Runs runs;
  const auto after = [&](std::uint32_t align, std::uint32_t joint, bool frozen_statistics) {
    TrainOptions o = runs.options("phase");
    std::filesystem::remove_all(o.output);
    o.schedule.align.epochs = align;
    o.schedule.joint.epochs = joint;
    o.schedule.fine_tune.epochs = 0;
    o.schedule.joint.freeze_batch_norm = frozen_statistics;
    Trainer trainer(o);
    Tensors before;
    for (const auto& [name, tensor] : trainer.state()) before.emplace(name, tensor.clone());
    trainer.run(kNeverStop);
    std::map<std::string, bool> changed;
    for (const auto& [name, tensor] : trainer.state())
      if (!name.starts_with("optimizer.")) changed[name] = !at::equal(tensor, before.at(name));
    return changed;
  };
  for (const auto& [name, changed] : after(1, 0, false)) CHECK_MESSAGE(changed == name.starts_with("transformer."), name);
  for (const auto& [name, changed] : after(0, 1, false)) CHECK_MESSAGE(changed, name);
  for (const auto& [name, changed] : after(0, 1, true)) {
    const bool statistic = name.ends_with("running_mean") || name.ends_with("running_var") || name.ends_with("num_batches_tracked");
    CHECK_MESSAGE(changed == !statistic, name);
  }
}

TEST_CASE("one cache serves students of other sizes and depths, with logits alone or all targets") {
  const Runs runs;
  for (const char* arch : {"resnet18", "resnet50"})
    for (const bool all : {false, true}) {
      TrainOptions o = runs.options(std::string(arch) + (all ? "-all" : "-logits"));
      o.model.arch = arch;
      o.size = arch == std::string("resnet18") ? 40 : 32;
      if (!all) {
        o.targets.features = o.targets.attention = "";
        o.schedule.align.epochs = 0;
      }
      o.max_steps = 6;
      Trainer trainer(o);
      CHECK(trainer.run(kNeverStop).steps == 6);
      for (const auto& [name, tensor] : trainer.state()) CHECK_MESSAGE(at::isfinite(tensor).all().item<bool>(), name);
    }
}

TEST_CASE("the stream follows the epoch's order, whatever the number of workers, and shows the student the teacher's pixels") {
  const Runs runs;
  TrainOptions o = runs.options("stream");
  o.augment.brightness = o.augment.contrast = o.augment.saturation = o.augment.hue = o.augment.erase_probability = 0;
  const auto index = std::make_shared<const ImageIndex>(scan_image_folder(o.images, nullptr));
  const auto source = make_target_source(o, index);
  const ViewMaker views(o.images, index, 32);
  const std::vector<GroupKey> order = epoch_order(3, 0, source->plan().groups_per_pass(), source->passes(true));
  const auto items = [&](std::uint64_t n) -> std::optional<StreamItem> {
    if (n >= order.size()) return std::nullopt;
    return StreamItem{0, order[n]};
  };
  std::vector<std::vector<std::uint8_t>> first;
  for (const std::uint32_t workers : {1u, 4u}) {
    GroupStream stream(*source, views, {32, 3, workers, 4, o.augment}, items, 0);
    std::size_t n = 0;
    for (; const auto batch = stream.next(); ++n) {
      REQUIRE(n < order.size());
      CHECK(batch->item.key == order[n]);
      if (workers == 1) first.push_back(batch->pictures);
      CHECK(batch->pictures == first[n]);
    }
    CHECK(n == order.size());
  }
}

TEST_CASE("what does not fit is refused in one sentence that names it") {
  const Runs runs;
  const auto refusal = [](const TrainOptions& options) -> std::string {
    try {
      Trainer trainer(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  CHECK(refusal(runs.options("fits")) == "");
  TrainOptions o = runs.options("refused");
  o.batch = 3;
  CHECK(refusal(o).starts_with("batch = 3 neither divides"));
  o = runs.options("refused");
  o.targets.features = "features.7";
  CHECK(refusal(o).find("features.7") != std::string::npos);
  o = runs.options("refused");
  o.targets.features = "";
  CHECK(refusal(o).find("schedule.align") != std::string::npos);
  // Another class order, then other contents.
  std::filesystem::rename(runs.data.images / "ant", runs.data.images / "dog");
  CHECK(refusal(runs.options("refused")).find("its class 0 is ant, the folder's is bee") != std::string::npos);
  std::filesystem::rename(runs.data.images / "dog", runs.data.images / "ant");
  std::filesystem::copy_file(runs.data.images / "ant/1.jpg", runs.data.images / "ant/0.jpg", std::filesystem::copy_options::overwrite_existing);
  CHECK(refusal(runs.options("refused")).find("ant/0.jpg has other contents") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(runs.data.root / "refused"));
}

TEST_CASE("a resume with another setting is refused by its name") {
  const Runs runs;
  TrainOptions o = runs.options("resumed");
  o.max_steps = 2;
  trained(o);
  o.resume = true;
  o.loss.temperature = 3;
  CHECK_THROWS_WITH_AS(Trainer{o}, doctest::Contains("loss.temperature"), Error);
}

TEST_CASE("vitrine-train: bad input ends with exit code 2 and one line") {
  const ExtractFixture data;
  const std::string config = (data.root / "train.toml").string();
  testing::write_whole(config, "images = '" + data.images.string() + "'\noutput = '" + (data.root / "out").string() + "'\n");
  const auto errors = [&](const std::string& setting) {
    return testing::run("( " + testing::executable("vitrine-train") + " '" + config + "' --set '" + setting + "' > /dev/null )");
  };
  for (const auto& [setting, part] : std::vector<std::pair<std::string, std::string>>{{"modle.arch=resnet18", "did you mean model.arch?"},
                                                                                      {"model.arch=resnet19", "expected one of resnet18"},
                                                                                      {"loss.temperature=0", "expected a number from 0.01"},
                                                                                      {"batch=\"four\"", "expected an integer"},
                                                                                      {"images=/nowhere", "/nowhere"},
                                                                                      {"model.weights=/nowhere", "/nowhere"}}) {
    const auto result = errors(setting);
    CHECK_MESSAGE(result.exit_code == 2, setting);
    CHECK_MESSAGE(result.output.find(part) != std::string::npos, result.output);
  }
  CHECK_FALSE(std::filesystem::exists(data.root / "out"));
}

}  // namespace
}  // namespace vitrine
