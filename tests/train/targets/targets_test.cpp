#include "train/targets/source.h"

#include <ATen/ATen.h>

#include <set>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/plan/epoch.h"
#include "tests/train/fixture.h"
#include "train/data/batches.h"
#include "train/matching/objective.h"

using namespace vitrine;
using vitrine::testing::differences;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;

TEST_CASE("a student trains on topk logits, equally from a cache and from the live teacher") {
  const TrainFixture fixture;
  fixture.make_cache({"taps.features=[]", "taps.attention=[]", "taps.logits_encoding=topk", "taps.topk=2",
                      "taps.logits_error=0", "taps.topk_temperatures=[1, 4]"});
  const TrainOptions cached = fixture.logits_only(TargetKind::kCache, "cached");
  TrainOptions live = fixture.logits_only(TargetKind::kTeacher, "live");
  live.targets.taps.logits_encoding = "topk", live.targets.taps.topk = 2, live.targets.taps.logits_error = 0;
  const Tensors weights = trained(cached);
  CHECK(differences(weights, trained(live)) == std::vector<std::string>{});

  // With one of three classes left out nothing is merged: apart from fp16, the targets equal all logits.
  TrainOptions whole = fixture.logits_only(TargetKind::kTeacher, "whole");
  whole.targets.through_codec = false;
  double largest = 0;
  for (const auto& [name, tensor] : trained(whole))
    if (name.starts_with("model."))
      largest = std::max(largest, (tensor - weights.at(name)).to(at::kDouble).abs().max().item<double>());
  CHECK(largest > 0);
  CHECK(largest < 0.01);

  TrainOptions other = cached;
  other.loss.temperature = 3;
  other.output += "-3";
  CHECK_THROWS_WITH_AS(trained(other), doctest::Contains("loss.temperature = 3, but the topk track"), Error);
  CHECK_THROWS_WITH_AS(trained(other), doctest::Contains("at 1, 4 only"), Error);
}

TEST_CASE("a topk track reports the shape of its rows and the number of classes") {
  const TrainFixture fixture;
  TrainOptions options = fixture.logits_only(TargetKind::kTeacher, "live");
  options.targets.taps.logits_encoding = "topk", options.targets.taps.topk = 1;
  const TargetShapes shapes = fixture.source(options)->shapes();
  CHECK((shapes.logits == std::vector<std::int64_t>{3}));
  CHECK(shapes.classes == 3);
  CHECK(shapes.topk);
  options.targets.taps.topk = 3;
  CHECK_THROWS_WITH_AS(fixture.source(options), doctest::Contains("kept = 3 of 3 classes"), Error);
}

TEST_CASE("a batch holds each view's picture, label and stored maps, although workers read coefficients") {
  const TrainFixture fixture;
  fixture.make_cache();
  TrainOptions options = fixture.options(TargetKind::kCache, "run");
  options.augment.brightness = options.augment.contrast = options.augment.saturation = options.augment.hue = 0;
  options.augment.erase_probability = 0;
  const ViewMaker views(fixture.images, fixture.index(), 32);
  const Cache cache(fixture.root / "cache");
  const auto stored = [&](const char* track, GroupKey key) {
    const TrackReader reader(cache, cache.track(track));
    TrackReader::Scratch scratch;
    std::vector<std::int64_t> shape{8};
    for (const std::uint32_t side : reader.track().shape) shape.push_back(side);
    const at::Tensor out = at::empty(shape);
    reader.read(key, scratch, {out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.numel())});
    return out;
  };
  for (const std::uint32_t size : {4u, 8u, 16u}) {  // half a group, a group, two
    CAPTURE(size);
    options.batch = size;
    const std::unique_ptr<TargetSource> source = fixture.source(options);
    REQUIRE(source->shapes().bases.size() == 1);
    REQUIRE(source->shapes().bases[0] != nullptr);
    const ChannelBasis basis(*source->shapes().bases[0], at::kCPU);
    Batches batches(options.batch_options(32), *source, views, at::kCPU);
    batches.start(0);
    std::vector<at::Tensor> pictures, labels, maps, attention;
    for (std::uint32_t rows = 0; rows < 16; rows += size) {
      const Batch batch = batches.next();
      pictures.push_back(batch.pictures), labels.push_back(batch.labels.label);
      maps.push_back(basis.maps(batch.features[0])), attention.push_back(batch.attention);
    }
    std::set<std::int64_t> met;
    for (const GroupKey key : epoch_order(options.seed, 0, 2, source->passes(true))) {
      const std::vector<Recipe> recipes = source->recipes(key);
      std::vector<std::uint8_t> plain = views.group(recipes, 32);
      const at::Tensor seen = at::from_blob(plain.data(), {8, 32, 32, 3}, at::kByte);
      const at::Tensor features = stored("features.1", key), looks = stored("attention.1", key);
      for (std::int64_t view = 0; view < 8; ++view) {
        // The batch has the group's order.
        const at::Tensor row = at::cat(pictures).eq(seen[view]).flatten(1).all(1).nonzero().flatten();
        REQUIRE(row.numel() == 1);
        const auto at = row.item<std::int64_t>();
        met.insert(at);
        CHECK(at::cat(labels)[at].item<std::int64_t>() == recipes[static_cast<std::size_t>(view)].label);
        CHECK(at::allclose(at::cat(maps)[at], features[view], 1e-5, 1e-5));
        CHECK(at::equal(at::cat(attention)[at], looks[view]));
      }
    }
    CHECK(met.size() == 16);
  }
}

TEST_CASE("noise has the requested deviation in each channel, and is a function of seed, track and step") {
  const at::Tensor scales = at::tensor({0.1f, 1.0f, 30.0f}).view({1, 3, 1, 1});
  const at::Tensor features = at::randn({64, 3, 14, 14}, at::make_generator<at::CPUGeneratorImpl>(1)) * scales + 5;
  const at::Tensor noisy = with_noise(features, 0.05, 3, 1, 7);
  const at::Tensor relative = (noisy - features).std({0, 2, 3}) / features.std({0, 2, 3});
  CHECK((relative - 0.05).abs().max().item<double>() < 0.002);
  CHECK(((noisy - features).mean({0, 2, 3}) / features.std({0, 2, 3})).abs().max().item<double>() < 0.002);
  CHECK(at::equal(noisy, with_noise(features, 0.05, 3, 1, 7)));
  for (const at::Tensor& other :
       {with_noise(features, 0.05, 4, 1, 7), with_noise(features, 0.05, 3, 0, 7), with_noise(features, 0.05, 3, 1, 8)})
    CHECK((other - noisy).abs().max().item<double>() > 0.01);
  CHECK(at::equal(features, with_noise(features, 0, 3, 1, 7)));
  CHECK_FALSE(with_noise({}, 0.05, 3, 1, 7).defined());
}
