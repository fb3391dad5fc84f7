// The rules of vitrine distil: pure functions, so their promises can be held over many inputs.
#include "tests/support/message.h"
#include "tools/commands/distil/configuration.h"
#include "tools/commands/distil/rules.h"
#include "tools/commands/distil/steps.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/base/error.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;

namespace {

using Sizes = std::vector<std::uint64_t>;

DistilFacts facts_of(std::uint64_t images) {
  DistilFacts facts;
  facts.images = facts.labelled = images;
  facts.extract_seconds = 0.05, facts.data_seconds = 0.003, facts.step_seconds = 0.1;
  facts.once_seconds = 30;
  facts.view_bytes = 3000;
  return facts;
}

}  // namespace

TEST_CASE("rules: a run never takes longer than the hours given, and more hours never give a shorter one") {
  for (const std::uint64_t images : {90u, 1'000u, 20'000u, 1'281'167u}) {
    CAPTURE(images);
    double before = 0;
    for (const double hours : {0.5, 2.0, 8.0, 24.0, 400.0, 4000.0}) {
      CAPTURE(hours);
      try {
        const DistilChoice choice = choose_settings(facts_of(images), {.hours = hours});
        CHECK(choice.seconds <= 3600 * hours);
        CHECK(choice.epochs() >= before);
        before = choice.epochs();
        CHECK(choice.passes >= 1);
        CHECK(choice.passes <= choice.epochs());
        CHECK(choice.size % 32 == 0);
        CHECK(choice.size <= 224);
      } catch (const Error& error) {
        CHECK(before == 0);  // only shorter times are refused
        CHECK(has(std::string(error.what()), "are not enough"));
        CHECK(has(std::string(error.what()), "--hours"));
      }
    }
    CHECK(before > 0);
  }
}

TEST_CASE("rules: the phases add up to the epochs, and the batch holds whole groups or divides one") {
  for (const std::uint64_t images : {10u, 90u, 5'000u, 60'000u, 1'281'167u})
    for (const bool trained : {false, true})
      for (const std::uint32_t batch : {0u, 8u, 48u}) {
        DistilFacts facts = facts_of(images);
        if (images == 10 && batch == 48) continue;  // larger than a pass
        facts.begins_trained = trained;
        const DistilChoice choice = choose_settings(facts, {.epochs = 40, .batch = batch});
        CHECK(choice.epochs() == doctest::Approx(40));
        CHECK(choice.joint_epochs > 0);
        CHECK((choice.batch % choice.group == 0 || choice.group % choice.batch == 0));
        for (const DistilChoice::Reason& reason : choice.reasons) CHECK_FALSE(reason.why.empty());
      }
}

TEST_CASE("rules: a baseline takes as long as cache and student, and the hours are for all of them") {
  const DistilFacts facts = facts_of(1'000);
  const DistilFixed length{.passes = 5, .epochs = 40, .size = 224};
  DistilFixed with = length;
  with.baseline = true;
  const DistilChoice alone = choose_settings(facts, length), both = choose_settings(facts, with);
  CHECK(both.seconds - facts.once_seconds ==
        doctest::Approx(2 * (alone.seconds - facts.once_seconds)).epsilon(1.0 / 40));
  CHECK(choose_baseline(facts, both).epochs >= both.epochs());
  for (const std::uint64_t labelled : {50u, 400u, 1'000u}) {
    CAPTURE(labelled);
    DistilFacts some = facts;
    some.labelled = labelled;
    const DistilChoice choice = choose_settings(some, with);
    CHECK(choice.seconds - some.once_seconds ==
          doctest::Approx(2 * (alone.seconds - some.once_seconds)).epsilon(1.0 / 40));
    CHECK(choose_baseline(some, choice).epochs * static_cast<double>(labelled) ==
          doctest::Approx(choose_baseline(facts, both).epochs * 1'000).epsilon(1.0 / 40));
  }
  for (const double hours : {2.0, 5.0, 10.0}) {
    const DistilChoice fitting = choose_settings(facts, {.hours = hours, .baseline = true});
    CHECK(fitting.seconds <= 3600 * hours);
  }
  CHECK_THROWS_WITH_AS(choose_settings(facts, {.hours = 0.01, .baseline = true}),
                       doctest::Contains("and the baseline take about"), Error);
}

TEST_CASE("rules: a batch is at most a pass, and its groups are even, whole forwards of a module, and not too large") {
  const auto most = [](std::uint64_t images, std::uint32_t batch) {
    DistilFacts facts = facts_of(images);
    return choose_settings(facts, {.batch = batch});
  };
  CHECK_THROWS_WITH_AS(most(60, 4000),
                       doctest::Contains("--batch 4000 is larger than a pass over 60 photos; give --batch 64 or less"),
                       Error);
  CHECK_THROWS_WITH_AS(most(60, 65), doctest::Contains("give --batch 64 or less"), Error);
  CHECK_THROWS_WITH_AS(most(510, 544), doctest::Contains("give --batch 512 or less"), Error);
  CHECK_THROWS_WITH_AS(most(1'000'000, 65537), doctest::Contains("give a multiple of 64"), Error);
  for (const std::uint64_t images : {10u, 60u, 510u, 3'000u, 600'000u})
    for (const std::uint32_t module_batch : {0u, 16u, 48u, 7u})
      for (const std::uint32_t batch : {0u, 1u, 7u, 24u, 33u, 64u}) {
        CAPTURE(images);
        CAPTURE(module_batch);
        CAPTURE(batch);
        DistilFacts facts = facts_of(images);
        facts.module_batch = module_batch;
        if (batch > images) continue;
        const DistilChoice choice = choose_settings(facts, {.batch = batch});
        CHECK((batch == 0 || choice.batch == batch));
        CHECK((choice.batch % choice.group == 0 || choice.group % choice.batch == 0));
        CHECK(choice.group % 2 == 0);
        CHECK(choice.group % std::max(1u, module_batch) == 0);
        CHECK((images + choice.group - 1) / choice.group * choice.group >= choice.batch);
      }
  DistilFacts facts = facts_of(30'000);
  facts.teacher_size = 32;
  CHECK_THROWS_WITH_AS(choose_settings(facts, {.batch = 1}), doctest::Contains("give --batch 2 or --size 64"), Error);
}

TEST_CASE("rules: the baseline's batch is at most a pass over the labelled photos, whether asked for now or later") {
  DistilFacts facts = facts_of(30'000);
  for (const std::uint64_t labelled : {40u, 60u, 64u, 65u, 200u, 30'000u})
    for (const std::uint32_t batch : {0u, 1u, 7u, 64u, 96u, 128u, 320u})
      for (const std::uint32_t module_batch : {0u, 48u}) {
        CAPTURE(labelled);
        CAPTURE(batch);
        facts.labelled = labelled, facts.module_batch = module_batch;
        const DistilChoice choice = choose_settings(facts, {.batch = batch});
        CHECK(choose_settings(facts, {.batch = batch, .baseline = true}).batch == choice.batch);
        const BaselineChoice own = choose_baseline(facts, choice);
        const std::uint64_t pass = (labelled + choice.group - 1) / choice.group * choice.group;
        CHECK(own.batch <= pass);
        CHECK(own.batch <= choice.batch);
        CHECK((own.batch == choice.batch || own.batch == pass));
        CHECK((own.batch % choice.group == 0 || choice.group % own.batch == 0));
        CHECK(own.lr <= choice.lr);
        CHECK((own.batch < choice.batch || own.lr == choice.lr));
      }
  facts = facts_of(30'000);
  facts.labelled = 60;
  const DistilChoice choice = choose_settings(facts, {});
  CHECK(choice.batch == 128);
  CHECK(choose_baseline(facts, choice).batch == 64);
  CHECK(choose_baseline(facts, choice).lr == doctest::Approx(choice.lr / 2));
  DistilRequest request;
  request.photos = "/photos", request.out = "/run";
  Found found;
  found.facts = facts;
  CHECK(has(train_configuration(request, found, choice), "batch = 128  # for enough steps per epoch\n"));
  CHECK(has(baseline_configuration(request, found, choice), "batch = 64  # a pass over the labelled photos\n"));
}

TEST_CASE("rules: a cache of several passes pays with its calibration counted once") {
  DistilRequest request;
  Found found;
  found.facts = facts_of(1'000);
  found.costs = {.extraction = 2, .read = 0.25, .live = 1.25, .calibration = 5};
  const DistilChoice choice = choose_settings(found.facts, {.passes = 4, .epochs = 40});
  CHECK(has(describe(request, found, choice), "with this student: after 13 epochs; this student trains for 40"));
  found.costs.extraction = 20;
  CHECK(has(describe(request, found, choice), "from student 3 on: after 85 epochs"));
  found.costs.live = 0.2;
  CHECK(has(describe(request, found, choice), "never: reading it takes longer"));
}

TEST_CASE("distil's last words say which photos and weights a top-1 is of") {
  const vitrine::testing::TemporaryDirectory folder;
  DistilRequest request;
  request.out = folder.path().string(), request.baseline = true;
  const auto summarise = [&](const std::filesystem::path& run, const char* summary) {
    vitrine::testing::write_whole(run / "summary.json", summary);
  };
  summarise(folder.path(), R"({"top1":0.5,"evaluated_on":"test","weights":"best"})");
  summarise(folder / "baseline", R"({"top1":0.25,"evaluated_on":"test","weights":"last"})");
  CHECK(has(summary_of(request, "vitrine-distil"),
            "the student's top-1: 50.0 % on the test photos, with its best weights; "
            "of the same network from labels alone: 25.0 % on the test photos\n"));
  summarise(folder / "baseline", R"({"top1":0.5,"evaluated_on":"test","weights":"last"})");
  CHECK(has(summary_of(request, "vitrine-distil"),
            "\nwarning: the teacher's targets gained nothing over labels alone; check the teacher's"));
  summarise(folder / "baseline", R"({"top1":0.6,"evaluated_on":"validation","weights":"last"})");  // other photos
  CHECK_FALSE(has(summary_of(request, "vitrine-distil"), "warning"));
}

TEST_CASE("rules: what the user fixed stays") {
  const DistilChoice choice =
      choose_settings(facts_of(1000), {.passes = 3, .epochs = 7, .size = 96, .batch = 8, .hours = 100});
  CHECK(choice.passes == 3);
  CHECK(choice.epochs() == doctest::Approx(7));
  CHECK(choice.size == 96);
  CHECK(choice.batch == 8);
}

TEST_CASE("rules: with little time pictures get smaller before epochs get few") {
  const DistilFacts facts = facts_of(10'000);
  const DistilChoice whole = choose_settings(facts, {});
  const DistilChoice half = choose_settings(facts, {.hours = whole.seconds / 3600 / 2});
  const DistilChoice least = choose_settings(facts, {.hours = whole.seconds / 3600 / 8});
  CHECK(half.epochs() >= 20);
  CHECK(half.size <= whole.size);
  CHECK(least.size == 128);
  CHECK(least.epochs() < half.epochs());
}

TEST_CASE("rules: the cache fits the disk, or the room that it needs is named") {
  DistilFacts facts = facts_of(10'000);
  const double pass = facts.view_bytes * 10'000;
  facts.free_bytes = static_cast<std::uint64_t>(4.5 * pass / 0.9);
  const DistilChoice choice = choose_settings(facts, {});
  CHECK(choice.passes == 4);
  CHECK(choice.cache_bytes <= 0.9 * static_cast<double>(*facts.free_bytes));
  facts.free_bytes = static_cast<std::uint64_t>(0.5 * pass);
  // Not even one fits, so fewer passes would not help.
  for (const std::uint32_t passes : {0u, 2u}) {
    const std::string none = message_of([&] { choose_settings(facts, {.passes = passes}); });
    CHECK(has(none, "for 1 pass, "));
    CHECK(none.ends_with("or give --cache on another disk"));
  }
  facts.free_bytes = static_cast<std::uint64_t>(1.5 * pass / 0.9);
  const std::string fewer = message_of([&] { choose_settings(facts, {.passes = 2}); });
  CHECK(has(fewer, "for 2 passes, "));
  CHECK(fewer.ends_with("or give --cache on another disk, or fewer --passes"));
}

TEST_CASE("rules: checkpoints and exported weights have room too, on the cache's disk or on another") {
  DistilFacts facts = facts_of(10'000);
  const double pass = facts.view_bytes * 10'000;
  facts.weight_bytes = pass / 10;  // so that a run takes as much as a pass
  facts.free_bytes = static_cast<std::uint64_t>(5.5 * pass);
  const DistilChoice choice = choose_settings(facts, {});
  CHECK(choice.passes == 4);
  CHECK(choice.run_bytes == doctest::Approx(pass));
  CHECK(choose_settings(facts, {.baseline = true}).passes == 3);
  facts.free_bytes = static_cast<std::uint64_t>(1.5 * pass);
  CHECK(has(message_of([&] { choose_settings(facts, {}); }), "checkpoints and exported weights need about "));

  facts.one_disk = false;
  CHECK(choose_settings(facts, {}).passes == 1);
  facts.run_free_bytes = static_cast<std::uint64_t>(1.05 * pass);
  CHECK(has(message_of([&] { choose_settings(facts, {}); }), "the disk of --out has "));
  facts.run_free_bytes = static_cast<std::uint64_t>(1.2 * pass);
  CHECK(choose_settings(facts, {}).passes == 1);
  CHECK(has(message_of([&] { choose_settings(facts, {.baseline = true}); }), "give --out on another disk"));
}

TEST_CASE(
    "rules: a share of the photos is held out that is large enough to validate on, and leaves enough to learn from") {
  const auto share = [](const Sizes& classes) { return hold_out_share(classes); };
  CHECK(share({90}) == doctest::Approx(0.2));
  CHECK(share({500, 500}) == doctest::Approx(0.1));
  CHECK(share(Sizes(10, 2'000)) == doctest::Approx(0.1));
  CHECK(share(Sizes(1'000, 1'281)) == doctest::Approx(0.008));
}

TEST_CASE("rules: where a tenth of each class rounds to nothing, more is held out, and none only if none can be") {
  const auto held_out = [](const Sizes& classes) {
    const double share = hold_out_share(classes);
    std::int64_t photos = 0;
    for (const std::uint64_t size : classes) photos += std::lround(share * static_cast<double>(size));
    return photos;
  };
  CHECK(held_out(Sizes(300, 4)) == 300);
  CHECK(held_out(Sizes(5, 2)) == 5);
  Sizes skewed(299, 3);
  skewed.push_back(12);
  CHECK(held_out(skewed) >= 100);
  for (const std::uint64_t classes : {3u, 40u, 1'000u})
    for (const std::uint64_t photos : {2u, 3u, 5u, 9u, 60u}) {
      CAPTURE(classes);
      CAPTURE(photos);
      const auto all = static_cast<std::int64_t>(classes * photos);
      CHECK(held_out(Sizes(classes, photos)) > 0);
      CHECK(held_out(Sizes(classes, photos)) <= all / 2);
    }
  CHECK(hold_out_share(Sizes(20, 1)) == 0);
  CHECK(hold_out_share({}) == 0);
}

TEST_CASE("rules: labels gain weight at the end only where there are many and the teacher knows them") {
  CHECK(choose_settings(facts_of(1'000), {}).fine_tune_epochs == 0);
  CHECK(choose_settings(facts_of(50'000), {}).fine_tune_epochs > 0);
  DistilFacts facts = facts_of(50'000);
  facts.labelled = 0;
  CHECK(choose_settings(facts, {}).fine_tune_epochs == 0);
}
