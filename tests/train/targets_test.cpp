#include "train/targets.h"

#include <torch/torch.h>

#include <set>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/plan/epoch.h"
#include "tests/train/fixture.h"
#include "train/batches.h"

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

TEST_CASE("a batch holds the maps that were stored, though workers read coefficients") {
  const TrainFixture fixture;
  fixture.make_cache();
  TrainOptions options = fixture.options(TargetKind::kCache, "run");
  options.batch = 8;
  const std::unique_ptr<TargetSource> source = make_target_source(options, fixture.index());
  REQUIRE(source->shapes().bases.size() == 1);
  REQUIRE(source->shapes().bases[0] != nullptr);
  const ViewMaker views(fixture.images, fixture.index(), 32);
  Batches batches(options, *source, views, 32, at::kCPU);
  batches.start(0);
  const at::Tensor maps = batches.next().features[0];

  const Cache cache(fixture.root / "cache");
  const TrackReader reader(cache, cache.track("features.1"));
  TrackReader::Scratch scratch;
  const GroupKey key = epoch_order(options.seed, 0, source->plan().groups_per_pass(), source->passes(true))[0];
  std::vector<float> values(reader.track().view_values() * 8);
  reader.read(key, scratch, values);
  const at::Tensor stored = at::from_blob(values.data(), maps.sizes().vec(), at::kFloat);
  // The batch has the group's views in another order.
  std::set<std::int64_t> met;
  for (std::int64_t row = 0; row < 8; ++row) {
    const at::Tensor apart = (stored - maps[row]).abs().flatten(1).amax(1);
    CHECK(apart.min().item<float>() < 1e-5f * stored.abs().max().item<float>());
    met.insert(apart.argmin().item<std::int64_t>());
  }
  CHECK(met.size() == 8);
  reader.read_coefficients(key, scratch, values);
  CHECK((stored[*met.begin()] - maps).abs().flatten(1).amax(1).min().item<float>() > 0.01f);  // the two are not alike
}
