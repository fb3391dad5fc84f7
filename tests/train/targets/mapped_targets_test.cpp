// A teacher of five classes and a student of three: ants are its classes 0 and 4, bees its class 1, cats none.
#include "train/targets/mapped_targets.h"

#include <ATen/ATen.h>

#include <numeric>
#include <span>
#include <vector>

#include "common/models/weights/weights_record.h"
#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/evaluation/agreement.h"
#include "train/matching/objective.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::differences;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::run;
using vitrine::testing::summary_of;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;
using vitrine::testing::write_whole;

namespace {

struct MapFixture : TrainFixture {
  std::filesystem::path wide = root / "wide.safetensors", map = root / "map.txt";

  MapFixture() {
    save_teacher(wide, 5);
    write_whole(map, "# teacher student\n0 ant\n1 bee\n4 0\n");
  }
  /// Settings of vitrine-extract for the wide teacher, and more.
  std::vector<std::string> settings(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{"teacher.weights=" + wide.string(), "taps.features=[1]"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void make_mapped() const {
    CHECK(has(make_cache(settings({"class_map=" + map.string()})), "on 10 clean crops of the 2 mapped classes"));
  }
  TrainOptions mapped(TargetKind source, const std::string& output) const {
    TrainOptions out = joint(source, output, 2);
    out.targets.class_map = map.string();
    if (source == TargetKind::kTeacher) {
      out.targets.teacher.weights = wide.string();
      out.targets.taps.features = {-1};
    }
    return out;
  }
};

}  // namespace

TEST_CASE("a mapped teacher gives equal training from its cache and live, in every form of the output term") {
  const MapFixture fixture;
  CHECK(has(fixture.extract("cache", fixture.settings()).output, "has 3 classes, but the teacher's head has 5"));
  fixture.make_mapped();
  TrainOptions cached = fixture.mapped(TargetKind::kCache, "cached");
  TrainOptions live = fixture.mapped(TargetKind::kTeacher, "live");
  Tensors before;
  for (const OutputForm form :
       {OutputForm::kKl, OutputForm::kDecoupled, OutputForm::kCorrelation, OutputForm::kAdaptive}) {
    CAPTURE(static_cast<int>(form));
    cached.loss.output = live.loss.output = form;
    cached.loss.exits_weight = live.loss.exits_weight = form == OutputForm::kAdaptive ? 1 : 0;
    cached.loss.attention = live.loss.attention = AttentionForm::kGradient;
    cached.loss.guidance_score = live.loss.guidance_score = GuidanceScore::kTeacher;
    const Tensors weights = trained(cached);
    CHECK(differences(weights, trained(live)) == std::vector<std::string>{});
    CHECK(differences(weights, before) != std::vector<std::string>{});
    for (const auto& [name, tensor] : weights)
      if (tensor.is_floating_point()) CHECK(tensor.isfinite().all().item<bool>());
    before = weights;
    cached.output += "+", live.output += "+";
  }
}

TEST_CASE("a class without a counterpart is excluded from the output term, but not from the label term") {
  const MapFixture fixture;
  fixture.make_mapped();
  TrainOptions options = fixture.mapped(TargetKind::kCache, "run");
  options.targets.features = options.targets.attention = "";
  options.optimizer.weight_decay = 0;
  options.schedule.joint.label_term = false;
  const auto cat_moved = [&] {
    Trainer trainer(options);
    const at::Tensor start = trainer.state().at("model.fc.weight").clone();
    trainer.run(never_stop());
    const at::Tensor end = trainer.state().at("model.fc.weight");
    CHECK_FALSE(at::equal(start[0], end[0]));
    return !at::equal(start[2], end[2]);
  };
  CHECK_FALSE(cat_moved());
  options.schedule.joint.label_term = true;
  options.output += "-labels";
  CHECK(cat_moved());
}

TEST_CASE("the forms of the output term that use labels map them to the teacher's columns") {
  TrainOptions options;
  TargetShapes shapes;
  shapes.logits = {2}, shapes.classes = 3, shapes.columns = {0, 2};
  at::manual_seed(2);
  const at::Tensor student = at::randn({4, 3}), teacher = at::randn({4, 2}),
                   known = student.index_select(1, at::tensor({0, 2}));
  const at::Tensor share = at::tensor({1.0f, 0.5f, 0.25f, 0.75f});
  const at::Tensor label = at::tensor({0, 1, 2, -1}, at::kLong), partner = at::tensor({0, 2, 1, 0}, at::kLong);
  const MixedLabels mapped{at::tensor({0, -1, 1, -1}, at::kLong), at::tensor({0, 1, -1, 0}, at::kLong), share, false};
  Batch batch;
  batch.labels = {label, partner, share, false};
  batch.logits = teacher;
  for (const OutputForm form : {OutputForm::kDecoupled, OutputForm::kAdaptive}) {
    options.loss.output = form;
    Objective objective(options.objective_options(), shapes, {8, 16, 32, 64}, 3, 32, at::kCPU);
    const LossTerms terms = objective.terms({student, {}}, batch, options.schedule.joint);
    CHECK(at::equal(terms.output, output_loss(known, teacher, mapped, options.loss)));
    CHECK(at::equal(terms.label, cross_entropy(student, batch.labels)));  // of all classes
  }
}

TEST_CASE("an identity class map trains bit-equal to no map") {
  const TrainFixture fixture;
  fixture.make_cache();
  TrainOptions options = fixture.options(TargetKind::kCache, "plain");
  const Tensors plain = trained(options);
  write_whole(fixture.root / "names.txt", "ant\nbee\ncat\n");
  options.targets.class_names = (fixture.root / "names.txt").string();
  options.output = (fixture.root / "mapped").string();
  CHECK(differences(plain, trained(options)) == std::vector<std::string>{});
  // The test can fail: with two names exchanged the weights differ.
  write_whole(fixture.root / "names.txt", "bee\nant\ncat\n");
  options.output = (fixture.root / "exchanged").string();
  CHECK(differences(plain, trained(options)) != std::vector<std::string>{});
}

TEST_CASE("a teacher that knows its class names is mapped by them, live, from its cache and for agreement") {
  const TrainFixture fixture;
  WeightsRecord record;
  record.model.kind = "vit";
  record.model.vit = TrainFixture::vit();
  record.size = 32;
  record.mean = record.stddev = {0.5, 0.5, 0.5};
  record.crop_pct = 0.9;
  record.class_count = 3;
  record.classes = {"cat", "ant", "bee"};
  save_safetensors(fixture.weights, load_safetensors(fixture.weights), record.metadata());
  CHECK(has(fixture.make_cache(), "matched by name with the teacher's 3 classes"));
  write_whole(fixture.root / "names.txt", "cat\nant\nbee\n");
  write_whole(fixture.root / "wrong.txt", "ant\nbee\ncat\n");
  for (const TargetKind source : {TargetKind::kCache, TargetKind::kTeacher}) {
    TrainOptions options = fixture.logits_only(source, "by-name");
    options.schedule.joint.label_term = false;
    const Tensors by_name = trained(options);
    options.targets.class_names = (fixture.root / "names.txt").string();
    options.output = (fixture.root / "by-file").string();
    CHECK(differences(by_name, trained(options)) == std::vector<std::string>{});
    options.targets.class_names = (fixture.root / "wrong.txt").string();
    options.output = (fixture.root / "wrong").string();
    CHECK(differences(by_name, trained(options)) != std::vector<std::string>{});
    for (const char* run : {"by-name", "by-file", "wrong"}) std::filesystem::remove_all(fixture.root / run);
  }

  const TrainOptions live = fixture.logits_only(TargetKind::kTeacher, "live");
  const Evaluation images({fixture.images}, live.evaluation_options(32));
  const std::vector<std::uint32_t> some{0, 5, 9};
  const at::Tensor named = EvaluationTeacher(live.targets, {"ant", "bee", "cat"}, 3).logits(images, some).logits,
                   bare = EvaluationTeacher(live.targets, {}, 3).logits(images, some).logits;
  CHECK(at::equal(named, bare.index_select(1, at::tensor({1, 2, 0}))));

  record.classes = {"cat", "ant", "wasp"};
  save_safetensors(fixture.weights, load_safetensors(fixture.weights), record.metadata());
  CHECK(has(message_of([&] {
              EvaluationTeacher(live.targets, {"ant", "bee", "cat"}, 3);
            }),
            "the student: has classes that are not among the teacher's 3 classes: bee"));
  CHECK(has(message_of([&] { trained(live); }), "not among the teacher's 3 classes: bee"));
}

TEST_CASE("a live teacher is checked on clean crops before the first step, and one at chance is refused") {
  const TrainFixture fixture;
  TrainOptions options = fixture.logits_only(TargetKind::kTeacher, "run");
  options.targets.check_images = 15;
  const std::string refused = message_of([&] { trained(options); });
  CAPTURE(refused);
  CHECK(has(refused, " targets."));  // its own keys
  CHECK(has(refused, "give a teacher of these classes, or continue anyway with --allow chance"));
  CHECK_FALSE(std::filesystem::exists(fixture.root / "run"));
  options.allow = "chance";
  trained(options);
  const auto allowed = summary_of(options).at("allowed");
  REQUIRE(allowed.size() == 1);
  CHECK(allowed[0].at("word") == "chance");
  // What resumes was checked when it began.
  options.output = (fixture.root / "resumed").string();
  trained(options, 2);
  options.allow = "";
  CHECK_NOTHROW(trained(options));
}

TEST_CASE("dropped classes are noted, with their share of the teacher's probability") {
  const MapFixture fixture;
  fixture.make_mapped();
  TrainOptions options = fixture.mapped(TargetKind::kCache, "run");
  options.test = options.validation = fixture.images.string();
  const CommandResult result = run(fixture.train_command(options));
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "3 of the teacher's 5 classes are 2 of the student's 3"));
  CHECK(has(result.output, "1 classes of the student have no counterpart"));

  // The dropped share, computed from the raw logits of both groups of the first pass.
  options.targets.class_map.clear();
  const auto raw = fixture.source(options);
  double share = 0;
  for (std::uint32_t group = 0; group < 2; ++group) {
    std::vector<float> logits = raw->targets({0, group}, {}, {}).logits;
    const at::Tensor p = at::softmax(at::from_blob(logits.data(), {8, 5}).to(at::kDouble), 1);
    share += (p.select(1, 2) + p.select(1, 3)).mean().item<double>() / 2;
  }
  const std::string said = "2 classes of the teacher have no counterpart; their ";
  REQUIRE(has(result.output, said));
  const std::string rest = result.output.substr(result.output.find(said) + said.size());
  CHECK(std::stod(rest) == doctest::Approx(100 * share).epsilon(1e-4));
}

TEST_CASE("agreement uses the class map, and needs no labels") {
  const MapFixture fixture;
  fixture.make_cache(fixture.settings({"labels=none"}));
  TrainOptions options = fixture.mapped(TargetKind::kCache, "run");
  options.labels = Labels::kNone;
  write_whole(fixture.map, "0 5\n1 2\n4 5\n");
  options.targets.teacher = fixture.mapped(TargetKind::kTeacher, "live").targets.teacher;
  options.validation = fixture.images.string();
  CHECK(trained(options).at("model.fc.weight").size(0) == 6);
  CHECK(summary_of(options).contains("validation_agreement"));

  const Evaluation images({fixture.images, {}, Labels::kNone}, options.evaluation_options(32));
  std::vector<std::uint32_t> all(15);
  std::iota(all.begin(), all.end(), 0u);
  const at::Tensor logits = EvaluationTeacher(options.targets, {}, 6).logits(images, all).logits;
  TrainOptions without = options;
  without.targets.class_map.clear();
  const at::Tensor wide = EvaluationTeacher(without.targets, {}, 5).logits(images, all).logits;
  CHECK(at::equal(logits.select(1, 2), wide.select(1, 1)));
  CHECK(at::allclose(logits.select(1, 5), at::logaddexp(wide.select(1, 0), wide.select(1, 4))));
  CHECK(logits.select(1, 0).isinf().all().item<bool>());
  CHECK_THROWS_WITH_AS(EvaluationTeacher(without.targets, {}, 6), doctest::Contains("5 classes, the student 6"), Error);
}

TEST_CASE("invalid class maps are refused") {
  const MapFixture fixture;
  TrainOptions options = fixture.mapped(TargetKind::kTeacher, "run");
  options.targets.features = options.targets.attention = "";
  options.targets.taps.features = options.targets.taps.attention = {};
  const auto refusal = [&] { return message_of([&] { trained(options); }); };
  SUBCASE("no map, but other classes") {
    options.targets.class_map.clear();
    CHECK(has(refusal(), "the teacher has 5 classes, the images have 3"));
    CHECK(has(refusal(), "targets.class_map"));
  }
  SUBCASE("only the largest logits") {
    options.targets.taps.logits_encoding = "topk", options.targets.taps.topk = 2;
    CHECK(has(refusal(), "need all of the teacher's logits, but topk stores only the largest"));
  }
  SUBCASE("a cache without a complete pass") {
    fixture.make_mapped();
    for (const char* shard : {"00000.h5", "00002.h5"})  // of each pass
      std::filesystem::remove(fixture.root / "cache/recipes" / shard);
    options = fixture.mapped(TargetKind::kCache, "run");
    CHECK(has(refusal(), "no pass is complete in every track that schedule.joint needs"));
  }
  SUBCASE("a cache without logits") {
    fixture.make_cache(fixture.settings({"taps.logits=false"}));
    options = fixture.mapped(TargetKind::kCache, "run");
    CHECK(has(refusal(), "map.txt: maps a teacher's classes, but the teacher has no logits"));
  }
  SUBCASE("a teacher without a head, asked for agreement") {
    Tensors headless = load_safetensors(fixture.wide);
    headless.erase("head.weight"), headless.erase("head.bias");
    save_safetensors(fixture.wide, headless);
    options = fixture.mapped(TargetKind::kTeacher, "run");
    CHECK(has(message_of([&] {
                EvaluationTeacher(options.targets, {"ant", "bee", "cat"}, 3);
              }),
              "map.txt: maps a teacher's classes, but the teacher has no logits"));
    CHECK(has(fixture.extract("cache", fixture.settings({"class_map=" + fixture.map.string()})).output,
              "map.txt: maps a teacher's classes, but the teacher has no logits"));
  }
  SUBCASE("no teacher") {
    options.targets.source = TargetKind::kNone;
    CHECK(has(refusal(), "targets.source = \"none\""));
  }
  SUBCASE("the file changes before a resume") {
    trained(options, 3);
    std::filesystem::rename(fixture.map, fixture.root / "moved.txt");
    options.targets.class_map = (fixture.root / "moved.txt").string();
    CHECK_NOTHROW(trained(options, 4));
    write_whole(fixture.root / "moved.txt", "0 ant\n1 bee\n");
    CHECK(has(refusal(), "targets.class_map"));
    return;
  }
  CHECK_FALSE(std::filesystem::exists(fixture.root / "run"));
}
