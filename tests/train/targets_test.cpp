#include "train/targets.h"

#include <torch/torch.h>

#include "common/base/error.h"
#include "tests/train/fixture.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::differences;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;

namespace {

// Logits and nothing else, in one epoch.
TrainOptions logits_alone(const TrainFixture& fixture, TargetKind source, const std::string& output) {
  TrainOptions options = fixture.options(source, output);
  options.targets.features = options.targets.attention = "";
  options.targets.taps.features = options.targets.taps.attention = {};
  options.schedule.align.epochs = options.schedule.fine_tune.epochs = 0;
  options.schedule.joint.epochs = 1;
  return options;
}

}  // namespace

TEST_CASE("a student learns from the largest logits and the others' mass, from a cache as from the teacher itself") {
  const TrainFixture fixture;
  const CommandResult made =
      fixture.extract("cache", {"taps.features=[]", "taps.attention=[]", "taps.logits_form=topk", "taps.topk=2",
                                "taps.logits_error=0", "taps.topk_temperatures=[1, 4]"});
  INFO(made.output);
  REQUIRE(made.exit_code == 0);
  const TrainOptions cached = logits_alone(fixture, TargetKind::kCache, "cached");
  TrainOptions live = logits_alone(fixture, TargetKind::kTeacher, "live");
  live.targets.taps.logits_form = "topk", live.targets.taps.topk = 2, live.targets.taps.logits_error = 0;
  const Tensors weights = trained(cached);
  CHECK(differences(weights, trained(live)) == std::vector<std::string>{});

  // One of three classes is left out, so that nothing is merged: but for fp16, all classes teach the same.
  TrainOptions whole = logits_alone(fixture, TargetKind::kTeacher, "whole");
  whole.targets.through_codec = false;
  double largest = 0;
  for (const auto& [name, tensor] : trained(whole))
    if (name.starts_with("model."))
      largest = std::max(largest, (tensor - weights.at(name)).to(at::kDouble).abs().max().item<double>());
  CHECK(largest > 0);
  CHECK(largest < 0.01);

  TrainOptions other = cached;
  other.loss.temperature = 3;
  CHECK_THROWS_WITH_AS(trained(other), doctest::Contains("loss.temperature = 3, but the topk track"), Error);
  CHECK_THROWS_WITH_AS(trained(other), doctest::Contains("at 1, 4 only"), Error);
}

TEST_CASE("a topk track has the shape of its rows, and tells the number of classes") {
  const TrainFixture fixture;
  TrainOptions options = logits_alone(fixture, TargetKind::kTeacher, "live");
  options.targets.taps.logits_form = "topk", options.targets.taps.topk = 1;
  const TargetShapes shapes = make_target_source(options, fixture.index())->shapes();
  CHECK((shapes.logits == std::vector<std::int64_t>{3}));
  CHECK(shapes.classes == 3);
  CHECK(shapes.topk);
  options.targets.taps.topk = 3;
  CHECK_THROWS_WITH_AS(make_target_source(options, fixture.index()), doctest::Contains("kept = 3 of 3 classes"), Error);
}
