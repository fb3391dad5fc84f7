// Runs without labels, or with additional unlabelled images.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <set>

#include "common/cache/cache.h"
#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/evaluation/agreement.h"
#include "train/data/stream.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::differences;
using vitrine::testing::executable;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::read_log;
using vitrine::testing::read_whole;
using vitrine::testing::run;
using vitrine::testing::summary_of;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;
using vitrine::testing::write_whole;

namespace {

/// Adds nine unlabelled images, flat and nested, to the 15 labelled ones.
struct LabelFixture : TrainFixture {
  std::filesystem::path further = root / "further";

  LabelFixture() {
    RandomStream draws(9, Purpose::kSample);
    for (int i = 0; i < 9; ++i) {
      Image image(40 + i, 36);
      for (auto& value : image.rgb) value = static_cast<std::uint8_t>(draws.bits());
      const std::string name = (i % 2 == 0 ? "" : "some/where/") + std::to_string(i) + ".jpg";
      write_whole(further / name, vitrine::testing::as_text(vitrine::encode_jpeg(image, 90)));
    }
  }

  void make(const std::string& cache, const std::vector<std::string>& settings, const std::string& said) const {
    const CommandResult made = extract(cache, settings);
    INFO(made.output);
    REQUIRE(made.exit_code == 0);
    CHECK(has(made.output, said));
  }
  TrainOptions without_labels(TargetKind source, const std::string& output) const {
    TrainOptions out = options(source, output);
    out.labels = Labels::kNone;
    return out;
  }
  void ask(TrainOptions& options) const {
    options.targets.teacher = TrainFixture::options(TargetKind::kTeacher, "any").targets.teacher;
    options.validation = further.string();
  }
};

}  // namespace

TEST_CASE("a folder without class folders gives a cache and a student, selected by agreement with the teacher") {
  const LabelFixture fixture;
  fixture.make("cache", {"images=" + fixture.further.string(), "labels=none"}, "9 images without labels");
  CHECK(has(fixture.extract("another", {"images=" + fixture.further.string(), "labels=none"}).output,
            "the teacher is not checked"));
  TrainOptions options = fixture.without_labels(TargetKind::kCache, "run");
  options.images = fixture.further.string();
  fixture.ask(options);
  const Tensors weights = trained(options);
  CHECK(weights.at("model.fc.weight").size(0) == 3);
  auto log = read_log(options);
  REQUIRE(log["label"].size() == 20);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(log["label"][i].empty());
    CHECK(log["kl"][i].empty() == (log["phase"][i] == "align"));
  }
  const auto summary = summary_of(options);
  const double agreement = summary.at("validation_agreement");
  CHECK(agreement >= 0);
  CHECK(agreement <= 1);
  CHECK_FALSE(summary.contains("validation_top1"));
  CHECK(std::filesystem::exists(fixture.root / "run/exported/best.safetensors"));

  SUBCASE("r has no effect, since it is 1") {
    options.schedule.joint.r_from = options.schedule.joint.r_to = options.schedule.fine_tune.r_to = 0.1;
    options.output += "-r";
    CHECK(differences(weights, trained(options)) == std::vector<std::string>{});
  }
  SUBCASE("the live teacher gives the same bits") {
    TrainOptions live = fixture.without_labels(TargetKind::kTeacher, "live");
    live.images = options.images;
    live.validation = options.validation;
    CHECK(differences(weights, trained(live)) == std::vector<std::string>{});
    CHECK(summary_of(live).at("validation_agreement") == agreement);
  }
  SUBCASE("a labelled validation set, with select = top1") {
    options.output += "-top1";
    options.select = Select::kTop1;
    options.validation = options.test = fixture.images.string();
    CHECK(differences(weights, trained(options)) == std::vector<std::string>{});
    CHECK(summary_of(options).at("validation_top1").get<double>() >= 0);
    std::filesystem::rename(fixture.images / "cat", fixture.images / "bee/cat");
    options.output += "-2";
    CHECK(has(message_of([&] { trained(options); }), "has 2 class folders, but the student has 3 classes"));
  }
  SUBCASE("no teacher for agreement: only the last weights") {
    options.output += "-last";
    options.targets.teacher.weights.clear();
    CHECK(differences(weights, trained(options)) == std::vector<std::string>{});
    CHECK_FALSE(std::filesystem::exists(fixture.root / "run-last/exported/best.safetensors"));
  }
  SUBCASE("validation images without the teacher's weights: a warning names the key and the teacher") {
    options.output += "-warned";
    options.targets.teacher = {};
    options.max_steps = 3;
    const CommandResult warned = run(fixture.train_command(options));
    CHECK(warned.exit_code == 0);
    CHECK(has(warned.output,
              "is not used: without labels, agreement with the teacher is measured there; set "
              "targets.teacher.weights to the file of small (SHA-256 "));
    // The weights are the only key that is needed, and the same run takes them.
    options.max_steps = 0;
    options.targets.teacher.weights = fixture.weights.string();
    trained(options);
    CHECK(summary_of(options).at("validation_agreement") == agreement);
  }
  SUBCASE("a run that needs labels is refused") {
    options.labels = Labels::kFolders;
    options.output += "-labels";
    CHECK(has(message_of([&] { trained(options); }), "was made of images without labels; set labels = \"none\""));
  }
}

TEST_CASE("ignored labels change nothing: the student is bit-equal to that of the same images without labels") {
  const LabelFixture fixture;
  fixture.make_cache();
  fixture.make("bare", {"labels=none"}, "15 images without labels");
  TrainOptions options = fixture.without_labels(TargetKind::kCache, "labelled");
  const Tensors weights = trained(options);
  options.targets.cache = (fixture.root / "bare").string();
  options.output = (fixture.root / "without").string();
  CHECK(differences(weights, trained(options)) == std::vector<std::string>{});
  // The test can fail: with labels the weights differ.
  CHECK(differences(weights, trained(fixture.options(TargetKind::kCache, "with"))) != std::vector<std::string>{});
}

TEST_CASE("agreement is the share of images with the same top-1 class") {
  const LabelFixture fixture;
  TrainOptions options = fixture.without_labels(TargetKind::kTeacher, "run");
  TeacherOptions& teacher = options.targets.teacher;
  teacher.crop_pct = options.crop_pct, teacher.mean = options.mean, teacher.stddev = options.stddev;
  options.model.kind = "vit";
  options.model.vit = TrainFixture::vit();
  options.model.weights = fixture.weights.string();
  const Evaluation images({fixture.further, {}, Labels::kNone}, options.evaluation_options(32));
  const Agreement agreement(options.targets, images, {}, 3);
  Network network(options.model, 3, at::kCPU);
  CHECK(agreement.run(network, at::kCPU) == 1);
  {
    const at::NoGradGuard no_grad;
    for (const auto& item : network.module().named_parameters())
      if (item.key().starts_with("head.")) item.value().neg_();
  }
  CHECK(agreement.run(network, at::kCPU) == 0);
  CHECK_THROWS_WITH_AS(Agreement(options.targets, images, {}, 4), doctest::Contains("3 classes, the student 4"), Error);
}

TEST_CASE("additional images without labels learn from the teacher, together with labelled ones") {
  const LabelFixture fixture;
  const std::string further = "unlabelled=" + fixture.further.string();
  fixture.make("cache", {further}, "24 images in 3 classes, 9 of them without a label");
  CHECK(has(fixture.extract("another", {further}).output, "on 15 clean crops"));
  TrainOptions options = fixture.options(TargetKind::kCache, "run");
  options.unlabelled = fixture.further.string();
  options.validation = fixture.images.string();
  const Tensors weights = trained(options);
  CHECK(read_log(options)["step"].back() == "30");
  CHECK(summary_of(options).contains("validation_top1"));

  SUBCASE("also from the live teacher, bit-equal, and after a stop") {
    TrainOptions live = fixture.options(TargetKind::kTeacher, "live");
    live.unlabelled = options.unlabelled;
    trained(live, 11);
    CHECK(differences(weights, trained(live)) == std::vector<std::string>{});
    live.labels = Labels::kNone;
    CHECK(has(message_of([&] { trained(live); }), "labels = "));
  }
  SUBCASE("every form of the output term and guidance accept them") {
    options.validation.clear();
    options.schedule.align.epochs = options.schedule.fine_tune.epochs = 0, options.schedule.joint.epochs = 1;
    for (const OutputForm form : {OutputForm::kDecoupled, OutputForm::kCorrelation, OutputForm::kAdaptive}) {
      options.output += "+";
      options.loss.output = form;
      options.loss.exits_weight = form == OutputForm::kAdaptive ? 1 : 0;
      options.loss.attention = AttentionForm::kGradient;
      for (const auto& [name, tensor] : trained(options))
        if (tensor.is_floating_point()) CHECK(tensor.isfinite().all().item<bool>());
    }
  }
  SUBCASE("the cache's other readers accept them") {
    const std::string cache = " '" + (fixture.root / "cache").string() + "'", bin = executable("vitrine-cache");
    const std::string images = " --images '" + fixture.images.string() + "'";
    const std::string both = images + " --unlabelled '" + fixture.further.string() + "'";
    CHECK(has(run(bin + " info" + cache).output, "24 images in 3 classes, 9 of them without a label"));
    const CommandResult verified =
        run(bin + " verify" + cache + both + " --deep 16 --weights '" + fixture.weights.string() + "'");
    CAPTURE(verified.output);
    CHECK(verified.exit_code == 0);
    const CommandResult half = run(bin + " verify" + cache + images);
    CHECK(half.exit_code == 2);
    CHECK(has(half.output, "is in the unlabelled folder, which is not set"));
    const CommandResult shown =
        run(bin + " show" + cache + both + " --count 24 --out '" + (fixture.root / "sheet.png").string() + "'");
    CAPTURE(shown.output);
    CHECK(shown.exit_code == 0);
  }
  SUBCASE("a run without them, or with others, is refused") {
    options.output += "-other";
    options.unlabelled.clear();
    CHECK(has(message_of([&] { trained(options); }), "has 9 images in a further folder of images without labels"));
    options.unlabelled = fixture.further.string();
    std::filesystem::remove(fixture.further / "4.jpg");
    CHECK(has(message_of([&] { trained(options); }), "has 9 images in a further folder"));
  }
}

TEST_CASE("a view has the label of its image and of its partner, or none") {
  const LabelFixture fixture;
  TrainOptions options = fixture.options(TargetKind::kTeacher, "run");
  const ImageFolders folders(fixture.images, fixture.further);
  options.unlabelled = fixture.further.string();
  const auto index = std::make_shared<const ImageIndex>(scan_image_folder(folders, nullptr));
  const auto source = make_source(options.source_settings(), index);
  const ViewMaker views(folders, index, 32);
  StreamOptions stream;
  stream.size = 32;
  std::size_t none = 0, mixed = 0;
  for (std::uint32_t group = 0; group < 3; ++group) {
    const GroupBatch batch = make_group(*source, views, stream, {0, {0, group}});
    std::multiset<std::pair<std::int64_t, std::int64_t>> expected, found;
    const std::vector<Recipe> recipes = source->recipes({0, group});
    const auto label = [&](const Recipe& recipe) {
      const std::string& id = index->images[recipe.image].id;
      return id.starts_with(".unlabelled") ? -1 : id.starts_with("ant") ? 0 : id.starts_with("bee") ? 1 : 2;
    };
    for (std::size_t i = 0; i < recipes.size(); ++i) {
      const Recipe& other = recipes[i].mix == Mix::kNone ? recipes[i] : recipes[recipes[i].partner];
      expected.emplace(label(recipes[i]), label(other));
      found.emplace(batch.label[i], batch.partner_label[i]);
      none += label(recipes[i]) < 0;
      mixed += (label(recipes[i]) < 0) != (label(other) < 0);
    }
    CHECK((expected == found));
    stream.labels = false;
    for (const std::int64_t one : make_group(*source, views, stream, {0, {0, group}}).label) CHECK(one == -1);
    stream.labels = true;
  }
  CHECK(none == 9);
  CHECK(mixed > 0);
}

TEST_CASE("settings that need labels are refused without them, in one sentence") {
  const LabelFixture fixture;
  TrainOptions options = fixture.without_labels(TargetKind::kTeacher, "run");
  const auto refusal = [&] { return message_of([&] { trained(options); }); };
  SUBCASE("no teacher either") {
    options.targets.source = TargetKind::kNone;
    CHECK(has(refusal(), "leave nothing to learn from"));
    options.labels = Labels::kFolders;
    options.unlabelled = fixture.further.string();
    CHECK(has(refusal(), "learns from labels alone"));
  }
  SUBCASE("a form that needs the label") {
    options.loss.output = OutputForm::kDecoupled;
    CHECK(has(refusal(), "loss.output = \"dkd\""));
    options.loss.output = OutputForm::kKl;
    options.loss.attention = AttentionForm::kGradient;
    CHECK(has(refusal(), "loss.guidance_score = \"labels\""));
  }
  SUBCASE("agreement without a teacher") {
    fixture.make("cache", {"labels=none"}, "without labels");
    options = fixture.without_labels(TargetKind::kCache, "run");
    options.validation = fixture.further.string();
    options.select = Select::kAgreement;
    CHECK(has(refusal(), "targets.teacher.weights"));
  }
  SUBCASE("a phase with only the label term") {
    PhaseOptions& phase = options.schedule.fine_tune;
    phase.output_term = phase.feature_term = phase.attention_term = false;
    CHECK(has(refusal(), "schedule.fine_tune has nothing to learn from"));
  }
  CHECK_FALSE(std::filesystem::exists(fixture.root / "run"));
}
