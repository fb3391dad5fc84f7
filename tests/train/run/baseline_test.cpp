// The labels-alone baseline of a cache's configuration, and runs that learn nothing.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "common/cache/cache.h"
#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/run/run_settings.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::differences;
using vitrine::testing::has;
using vitrine::testing::metrics_of;
using vitrine::testing::read_log;
using vitrine::testing::run;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;

TEST_CASE("targets.source = \"none\" alone makes the labels-alone baseline of a cache's configuration, on its views") {
  const TrainFixture fixture;
  fixture.make_cache();
  TrainOptions options = fixture.options(TargetKind::kCache, "run");
  options.plan = {};
  options.loss.exits_weight = 0.5;
  options.targets.class_map = (fixture.root / "map.txt").string();
  const CommandResult result = run(fixture.train_command(options, "--set targets.source=none"));
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(has(result.output,
            "learns from labels alone; left out, since they need a teacher: schedule.align, features.1, "
            "attention.1, the class map, loss.exits_weight\n"));
  CHECK(has(result.output, "the views are those of " + options.targets.cache + " (its plan and its 2 passes)"));
  const auto log = read_log(options);
  CHECK(log.at("phase").front() == "joint");
  CHECK(log.at("step").size() == 16);
  for (const std::string& kl : log.at("kl")) CHECK(kl.empty());
  const TrainOptions used = as_run([&] {
    TrainOptions none = options;
    none.targets.source = TargetKind::kNone;
    return none;
  }());
  CHECK((used.plan == Cache(options.targets.cache).plan().options()));
  CHECK(fixture.source(used)->plan().hash() == Cache(options.targets.cache).plan().hash());

  SUBCASE("the keys that a user wrote by hand until now give the same student") {
    TrainOptions by_hand = fixture.options(TargetKind::kNone, "by-hand");
    by_hand.plan = Cache(options.targets.cache).plan().options();
    TrainOptions one_key = options;
    one_key.output = (fixture.root / "one-key").string();
    one_key.targets.source = TargetKind::kNone;
    CHECK(differences(trained(by_hand), trained(one_key)) == std::vector<std::string>{});
  }
  SUBCASE("keys of [plan] in the configuration are laid over the cache's plan") {
    TrainOptions own = options;
    own.targets.source = TargetKind::kNone;
    own.plan.image_size = 40;
    PlanOptions expected = Cache(options.targets.cache).plan().options();
    REQUIRE(expected.group != PlanOptions().group);
    expected.image_size = 40;
    CHECK((as_run(own).plan == expected));
    CHECK(as_run(own).targets.passes == 2);
    own.plan = {.mix_probability = 0.5};
    own.output += "-own";
    const CommandResult dry = run(fixture.train_command(own, "--dry-run"));
    CAPTURE(dry.output);
    CHECK(has(dry.output, "(its plan and its 2 passes), but with plan.mix_probability = 0.5\n"));
  }
  SUBCASE("without a phase that has labels there is nothing to learn from") {
    TrainOptions nothing = options;
    nothing.output += "-nothing";
    nothing.targets.class_map.clear();
    nothing.targets.source = TargetKind::kNone;
    nothing.schedule.joint.label_term = nothing.schedule.fine_tune.label_term = false;
    CHECK(has(vitrine::testing::message_of([&] { trained(nothing); }), "schedule.align learns from features alone"));
  }
}

TEST_CASE("a run with a learning rate of 0 says that it did nothing, on the screen and in its metrics") {
  const TrainFixture fixture;
  fixture.make_cache();
  TrainOptions options = fixture.joint(TargetKind::kCache, "run", 3);
  options.schedule.joint.lr = options.schedule.joint.lr_end = 0;
  const CommandResult result = run(fixture.train_command(options));
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  const std::string nothing = "did nothing: no weight has changed (schedule.joint.lr = 0)";
  CHECK(has(result.output, "warning: epoch 1, joint: " + nothing));
  const auto phases = metrics_of(options, "phase");
  REQUIRE(phases.size() == 3);
  for (const auto& phase : phases) {
    const auto& finding = phase.at("findings").at(0);
    CHECK(finding.at("kind") == "did nothing");
    CHECK(finding.at("problem") == true);
    CHECK(finding.at("sentence") == nothing);
  }
  CHECK(phases.back().at("step") == 12);
  CHECK(phases.back().at("epoch") == 3);

  options.output += "-learns";
  options.schedule.joint.lr = 0.01;
  trained(options);
  for (const auto& phase : metrics_of(options, "phase"))
    for (const auto& finding : phase.at("findings")) CHECK(finding.at("kind") != "did nothing");
}
