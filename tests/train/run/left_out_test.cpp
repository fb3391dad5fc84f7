// Unreadable pictures in training and evaluation.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "common/cache/cache.h"
#include "common/config/config.h"
#include "common/image/left_out.h"
#include "common/models/weights/safetensors.h"
#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/data/batches.h"
#include "train/evaluation/agreement.h"
#include "train/evaluation/evaluate.h"
#include "train/run/evaluate_checkpoint.h"
#include "common/models/weights/weights_record.h"

using namespace vitrine;
using vitrine::testing::file_of;
using vitrine::testing::has;
using vitrine::testing::read_whole;
using vitrine::testing::train;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;
using vitrine::testing::write_whole;

namespace {

const PictureTries kAtOnce{2, [](int) {}};

// The group's views in the student's order, without those left out.
std::vector<std::int64_t> sound_order(const GroupBatch& group) {
  std::vector<std::int64_t> out;
  for (const std::int64_t view : group.order)
    if (!group.left_out[static_cast<std::size_t>(view)]) out.push_back(view);
  return out;
}

}  // namespace

TEST_CASE("a batch has the views whose pictures can be read, unchanged by the loss of the others") {
  const TrainFixture fixture;
  fixture.make_cache();
  TrainOptions options = fixture.options(TargetKind::kCache, "run");
  options.batch = 8;
  const auto index = fixture.index();
  const auto source = make_source(options.source_settings(), index);
  const ViewMaker sound(fixture.images, index, 32, nullptr, kAtOnce);
  Batches whole_batches(options.batch_options(32), *source, sound, at::kCPU);
  whole_batches.start(0);
  const Batch whole = whole_batches.next();
  whole_batches.stop();

  const std::string bytes = read_whole(fixture.images / "bee" / "2.jpg");
  write_whole(fixture.images / "bee" / "2.jpg", bytes.substr(0, bytes.size() / 2));
  const auto bad = std::make_shared<BadPictures>(BadImages::kSkip, index->images.size(), 0.5);
  const ViewMaker views(fixture.images, index, 32, bad, kAtOnce);
  Batches batches(options.batch_options(32), *source, views, at::kCPU);
  batches.start(0);
  std::uint64_t left_out = 0;
  for (int step = 0; step < 2; ++step) {  // one group each, a whole pass
    const Batch batch = batches.next();
    left_out += 8 - static_cast<std::uint64_t>(batch.views());
    CHECK(batch.views() > 0);
    for (const at::Tensor& rows : {batch.pictures, batch.labels.label, batch.labels.partner_label,
                                   batch.labels.own_share, batch.logits, batch.features.at(0), batch.attention})
      CHECK(rows.size(0) == batch.views());
    CHECK(batch.labels.complete);
    if (step > 0) continue;
    const auto passes = source->passes(true);
    const GroupKey key = epoch_order(options.seed, 0, 2, passes)[0];
    StreamOptions stream;
    stream.size = 32, stream.seed = options.seed, stream.augment = options.augment;
    const GroupBatch group = make_group(*source, views, stream, {0, key});
    const std::vector<std::int64_t> order = sound_order(group);
    REQUIRE(static_cast<std::int64_t>(order.size()) == batch.views());
    std::vector<std::int64_t> rows;  // of the undisturbed batch
    for (std::size_t i = 0; i < group.order.size(); ++i)
      if (!group.left_out[static_cast<std::size_t>(group.order[i])]) rows.push_back(static_cast<std::int64_t>(i));
    const at::Tensor same = at::tensor(rows, at::kLong);
    CHECK(at::equal(batch.pictures, whole.pictures.index_select(0, same)));
    CHECK(at::equal(batch.labels.label, whole.labels.label.index_select(0, same)));
    CHECK(at::equal(batch.logits, whole.logits.index_select(0, same)));
    CHECK(at::equal(batch.features.at(0), whole.features.at(0).index_select(0, same)));
    CHECK(at::equal(batch.attention, whole.attention.index_select(0, same)));
    for (std::size_t view = 0; view < 8; ++view)
      if (group.left_out[view]) CHECK((group.label[view] == -1 && group.partner_label[view] == -1));
  }
  CHECK(left_out > 0);
  CHECK(batches.left_out() == left_out);
  REQUIRE(bad->met().size() == 1);
  CHECK(bad->met()[0].id == "bee/2.jpg");
}

TEST_CASE("waited() counts only the time spent waiting for a group, not the copy to the device") {
  const TrainFixture fixture;
  TrainOptions options = fixture.options(TargetKind::kNone, "run");  // two batches a group
  const auto index = fixture.index();
  const auto source = make_source(options.source_settings(), index);
  const ViewMaker views(fixture.images, index, 32, nullptr, kAtOnce);
  Batches batches(options.batch_options(32), *source, views, at::kCPU);
  CHECK(batches.waited() == 0);
  batches.start(0);
  for (int group = 0; group < 2; ++group) {
    const double before = batches.waited();
    batches.next();
    const double waited = batches.waited();
    CHECK(waited > before);
    batches.next();
    CHECK(batches.waited() == waited);
  }
}

TEST_CASE("a training picture that fails during a run stops it, or is skipped and named") {
  const TrainFixture fixture;
  for (const BadImages policy : {BadImages::kStop, BadImages::kSkip}) {
    TrainOptions options = fixture.options(TargetKind::kNone, policy == BadImages::kStop ? "stopped" : "run");
    options.bad_images = policy;
    options.micro_batch = 2;
    const std::string bytes = read_whole(fixture.images / "bee" / "2.jpg");
    Trainer trainer(options);
    write_whole(fixture.images / "bee" / "2.jpg", bytes.substr(0, bytes.size() / 2));
    if (policy == BadImages::kStop) {
      CHECK_THROWS_WITH_AS(trainer.run(never_stop()), doctest::Contains("bee/2.jpg"), Error);
    } else {
      const TrainResult result = trainer.run(never_stop());
      CHECK(result.finished);
      CHECK(result.left_out_views > 0);
      const std::string list = file_of(options, kLeftOutFile);
      CHECK(has(list, "failed later\t" + (fixture.images / "bee/2.jpg").string() + "\t"));
      CHECK(has(file_of(options, "summary.json"), "\"left_out_views\""));
      for (const auto& [name, tensor] : trainer.state())
        if (tensor.is_floating_point()) CHECK(at::isfinite(tensor).all().item<bool>());
    }
    write_whole(fixture.images / "bee" / "2.jpg", bytes);
  }
}

TEST_CASE("a run trains without the views whose pictures were lost before the cache's second pass") {
  const TrainFixture fixture;
  REQUIRE(fixture.extract("cache", {"passes=1"}).exit_code == 0);
  std::filesystem::remove(fixture.images / "bee" / "2.jpg");
  REQUIRE(fixture.extract("cache", {"passes=2", "bad_images=skip"}).exit_code == 0);
  TrainOptions options = fixture.options(TargetKind::kCache, "run");
  CHECK_THROWS_WITH_AS(Trainer{options}, doctest::Contains("15 images, the folder 14"), Error);
  options.bad_images = BadImages::kSkip;
  const TrainResult result = train(options);
  CHECK(result.finished);
  CHECK(result.left_out_views > 0);
  CHECK(has(file_of(options, kLeftOutFile), "missing\t" + (fixture.images / "bee/2.jpg").string() + "\t"));

  // Stopped in every epoch: views that were left out before a stop count too.
  options.output = (fixture.root / "parts").string();
  std::uint64_t before = 0;
  for (options.max_steps = 5; options.max_steps <= 20; options.max_steps += 5) {
    const TrainResult so_far = train(options);
    CHECK(so_far.left_out_views >= before);
    before = so_far.left_out_views;
  }
  CHECK(before == result.left_out_views);
}

TEST_CASE("a live teacher's targets of left-out views are bit-equal to those of a cache") {
  const TrainFixture fixture;
  at::set_num_threads(1);
  REQUIRE(fixture.extract("cache", {"passes=1"}).exit_code == 0);
  const auto index = fixture.index();
  const auto live = make_source(fixture.options(TargetKind::kTeacher, "live").source_settings(), index);
  std::filesystem::remove(fixture.images / "bee" / "2.jpg");
  REQUIRE(fixture.extract("cache", {"passes=2", "bad_images=skip"}).exit_code == 0);
  const auto cached = make_source(fixture.options(TargetKind::kCache, "cached").source_settings(), index);
  const auto bad = std::make_shared<BadPictures>(BadImages::kSkip, index->images.size(), 0.5);
  const ViewMaker views(fixture.images, index, 32, bad, kAtOnce);
  std::size_t left_out = 0;
  for (const std::uint32_t group : {0u, 1u}) {
    const GroupKey key{1, group};
    std::vector<Recipe> recipes = live->recipes(key);
    const std::vector<std::uint8_t> pictures = views.group_or_mark(recipes, 32);
    CHECK((recipes == cached->recipes(key)));
    left_out += static_cast<std::size_t>(std::ranges::count_if(recipes, is_left_out));
    const GroupTargets now = live->targets(key, recipes, pictures), stored = cached->targets(key, recipes, {});
    CHECK((now.logits == stored.logits));
    CHECK((now.attention == stored.attention));
    REQUIRE(now.features.size() == 1);
    CHECK(at::equal(now.features[0], stored.features[0]));
  }
  CHECK(left_out > 0);
}

TEST_CASE("images that cannot be read are counted and named, and the others are evaluated") {
  const TrainFixture fixture;
  std::filesystem::copy(fixture.images, fixture.root / "validation", std::filesystem::copy_options::recursive);
  write_whole(fixture.root / "validation/ant/notes.txt", "not an image");
  TrainOptions options = fixture.options(TargetKind::kTeacher, "run");
  options.validation = (fixture.root / "validation").string();
  const Evaluation evaluation(options.validation, ModelClasses{{}, 3}, options.evaluation_options(32));
  Network network(options.model, 3, at::kCPU);
  CHECK(evaluation.run(network, at::kCPU).images == 15);
  REQUIRE(evaluation.left_out().size() == 1);
  const std::filesystem::path gone = fixture.root / "validation/bee/2.jpg";
  std::filesystem::remove(gone);
  CHECK(evaluation.run(network, at::kCPU).images == 14);
  const std::vector<LeftOut> left_out = evaluation.left_out();
  REQUIRE(left_out.size() == 2);
  CHECK(left_out[0].kind == LeftOutKind::kSidecar);
  CHECK(left_out[1].kind == LeftOutKind::kFailedLater);
  CHECK(left_out[1].id == gone.string());
  const Agreement agreement(options.targets, evaluation, {}, 3);
  CHECK(agreement.run(network, at::kCPU) >= 0);
  for (const auto& [id, height, width, label, bytes, hash] : evaluation.index().images)
    std::filesystem::remove(fixture.root / "validation" / id);
  CHECK_THROWS_WITH_AS(evaluation.run(network, at::kCPU), doctest::Contains("can be read any more"), Error);
}

TEST_CASE("a run lists the training, validation and test images that were left out, sorted by path") {
  const TrainFixture fixture;
  for (const char* folder : {"validation", "test"}) {
    std::filesystem::copy(fixture.images, fixture.root / folder, std::filesystem::copy_options::recursive);
    write_whole(fixture.root / folder / "bee/broken.jpg", "\xff\xd8\xff and then nothing");
  }
  std::filesystem::create_symlink("nowhere", fixture.images / "cat/link.jpg");
  TrainOptions options = fixture.options(TargetKind::kNone, "run");
  options.validation = (fixture.root / "validation").string();
  options.test = (fixture.root / "test").string();
  trained(options, 1);
  const std::string list = file_of(options, kLeftOutFile);
  for (const std::string& line : {"dangling link\t" + (fixture.images / "cat/link.jpg").string(),
                                  "damaged\t" + (fixture.root / "validation/bee/broken.jpg").string(),
                                  "damaged\t" + (fixture.root / "test/bee/broken.jpg").string()})
    CHECK(has(list, line + "\t"));
}

TEST_CASE(
    "a run with a cache of EXIF-rotated pictures trains and evaluates on rotated pictures, and its weights record it") {
  const TrainFixture fixture;
  REQUIRE(fixture.extract("cache", {"passes=2", "exif_orientation=apply"}).exit_code == 0);
  std::filesystem::copy(fixture.images, fixture.root / "validation", std::filesystem::copy_options::recursive);
  TrainOptions options = fixture.options(TargetKind::kCache, "run");
  options.validation = (fixture.root / "validation").string();
  trained(options, 2);
  // The configuration says what is done, and resumes the run as well as the one without these keys.
  for (const char* line : {"exif_orientation = 'apply'\n", "grey16 = 'clip'\n"})
    CHECK(has(file_of(options, "config.toml"), line));
  TrainOptions recorded;
  load_config(std::filesystem::path(options.output) / "config.toml", {}, recorded);
  CHECK(recorded.decoding == Decoding{.apply_orientation = true});
  trained(recorded, 3);
  recorded.restart = true;
  recorded.output = (fixture.root / "again").string();
  trained(recorded, 1);
  trained(options, 4);
  const auto metadata = load_safetensors_metadata(weights_file(options.output));
  CHECK(metadata.at("vitrine.exif_orientation") == "apply");
  CHECK(metadata.at("vitrine.grey16") == "clip");
  const std::optional<WeightsRecord> record = WeightsRecord::parse(metadata, "w");
  REQUIRE(record);
  CHECK(record->decoding.apply_orientation);
  // Opens the folders for evaluation as the run does.
  TrainOptions evaluating = options;
  evaluating.decoding = record->decoding;
  CHECK(Evaluation(options.validation, ModelClasses{{}, 3}, evaluating.evaluation_options(32))
            .index()
            .decoding.apply_orientation);
  // The student from labels alone sees the same pictures, and goes on with them.
  TrainOptions baseline = options;
  baseline.targets.source = TargetKind::kNone;
  baseline.plan = {};
  baseline.output = (fixture.root / "baseline").string();
  trained(baseline, 1);
  trained(baseline, 2);
  CHECK(has(file_of(baseline, "config.toml"), "exif_orientation = 'apply'\n"));
  CHECK(load_safetensors_metadata(weights_file(baseline.output)).at("vitrine.exif_orientation") == "apply");
  options.output = (fixture.root / "other").string();
  options.decoding.scale_grey16 = true;
  CHECK_THROWS_WITH_AS(Trainer{options},
                       doctest::Contains("was made with exif_orientation = \"apply\", grey16 = \"clip\", this run has"),
                       Error);
}
