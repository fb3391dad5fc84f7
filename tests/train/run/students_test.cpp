#include <ATen/ATen.h>

#include <cmath>

#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/run/evaluate_checkpoint.h"

using namespace vitrine;
using vitrine::testing::copies;
using vitrine::testing::differences;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::read_log;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;

TEST_CASE("a student of another resolution trains from the same cache") {
  const TrainFixture fixture;
  fixture.make_cache();
  for (const std::uint32_t size : {24u, 40u}) {
    TrainOptions options = fixture.options(TargetKind::kCache, "size-" + std::to_string(size));
    options.size = size;
    options.schedule.joint.epochs = 1;
    trained(options);
    const auto log = read_log(options);
    REQUIRE(log.at("step").size() == 12);
    for (const std::string& feature : log.at("feature")) CHECK(std::isfinite(std::stod(feature)));
  }
}

TEST_CASE("ResNet-18 and ResNet-50 train on logits alone and on all targets") {
  const TrainFixture fixture;
  fixture.make_cache();
  for (const std::string arch : {"resnet18", "resnet50"})
    for (const bool full : {false, true}) {
      CAPTURE(arch);
      CAPTURE(full);
      TrainOptions options = fixture.options(TargetKind::kCache, arch + (full ? "-full" : "-logits"));
      options.model.arch = arch;
      options.schedule.align.epochs = options.schedule.fine_tune.epochs = 0;
      options.schedule.joint.epochs = 1;
      if (!full) options.targets.features = options.targets.attention = "";
      trained(options);
      const auto log = read_log(options);
      REQUIRE(log.at("step").size() == 4);
      for (std::size_t i = 0; i < 4; ++i) {
        CHECK(log.at("kl")[i] != "");
        CHECK(log.at("label")[i] != "");
        CHECK((log.at("feature")[i] != "") == full);
        CHECK((log.at("attention")[i] != "") == full);
      }
      CHECK(std::filesystem::exists(std::filesystem::path(options.output) / "exported/last.safetensors"));
      CHECK(std::filesystem::exists(std::filesystem::path(options.output) / "summary.json"));
    }
}

TEST_CASE("a ViT whose size is not the pictures' is refused before training, and by an evaluation, with both keys") {
  const TrainFixture fixture;
  TrainOptions options = fixture.options(TargetKind::kNone, "run");
  options.model.kind = "vit";
  options.model.vit = TrainFixture::vit();
  options.size = 48;
  const char* const refused =
      "the student's pictures have 48 pixels a side, but its ViT takes 32; set size (0: the plan's image_size) and "
      "model.vit.image_size to the same number";
  CHECK(has(message_of([&] { Trainer trainer(options); }), refused));
  options.test = options.images;
  CHECK(has(message_of([&] { evaluate_checkpoint(options, fixture.weights); }), refused));
  options.size = 0;
  CHECK_NOTHROW(Trainer(options).check(never_stop()));
}

TEST_CASE("best weights come from the best validation; a ViT trains from labels; its weights can start another run") {
  const TrainFixture fixture;
  TrainOptions options = fixture.options(TargetKind::kNone, "vit");
  options.model.kind = "vit";
  options.model.vit.arch = "";
  options.model.vit.image_size = 32, options.model.vit.patch = 8, options.model.vit.dim = 16;
  options.model.vit.depth = 2, options.model.vit.heads = 2;
  options.validation = options.test = options.images;
  Trainer trainer(options);
  const TrainResult result = trainer.run(never_stop());
  CHECK(result.finished);
  CHECK(result.images_seen == 4 * 16);
  REQUIRE(result.validation.has_value());
  REQUIRE(result.test.has_value());
  CHECK(result.test->images == 15);
  CHECK(result.test->top1 == result.validation->top1);
  CHECK(std::filesystem::exists(fixture.root / "vit/exported/best.safetensors"));
  options.model.weights = (fixture.root / "vit/exported/last.safetensors").string();
  options.output += "-next";
  Tensors start;
  for (const auto& [name, tensor] : copies(Trainer(options).state()))
    if (name.starts_with("model.")) start.emplace(name.substr(6), tensor);
  CHECK(differences(start, load_safetensors(options.model.weights)) == std::vector<std::string>{});
}
