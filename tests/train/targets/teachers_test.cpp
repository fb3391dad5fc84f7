// Several teachers, teachers without a head, and the embedding as a target.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "common/cache/teacher_classes.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tests/train/fixture.h"
#include "train/matching/embedding_projector.h"
#include "train/targets/cached_targets.h"

using namespace vitrine;
using vitrine::testing::differences;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::read_log;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;

namespace {

struct TwoTeachers : TrainFixture {
  std::filesystem::path other = root / "other.safetensors";

  TwoTeachers() {
    save_teacher(other, 3, 6);
    make_cache({"taps.logits_encoding=fp32", "taps.embedding=true"});
    make_cache(of_other());
  }
  std::vector<std::string> of_other() const {
    return {"teacher.name=other", "teacher.weights=" + other.string(), "taps.logits_encoding=fp32"};
  }
  TrainOptions both(const std::string& output) const {
    TrainOptions out = joint(TargetKind::kCache, output);
    out.targets.cache_teacher = "small, other";
    out.targets.features = "small/features.1, other/features.1";
    out.targets.attention = "small/attention.1";
    out.transformer.stage = 0;
    out.transformer.stages = {3, 3};
    return out;
  }
  std::vector<float> logits_of(const TrainOptions& options) const {
    return source(options)->targets({0, 0}, {}, {}).logits;
  }
  std::vector<float> logits_of(const std::string& teacher) const {
    TrainOptions one = joint(TargetKind::kCache, "none");
    one.targets.cache_teacher = teacher;
    return logits_of(one);
  }
};

std::vector<double> softmax(const float* logits, std::size_t classes, double temperature) {
  std::vector<double> out(classes);
  double sum = 0;
  for (std::size_t c = 0; c < classes; ++c) sum += out[c] = std::exp(logits[c] / temperature);
  for (double& p : out) p /= sum;
  return out;
}

}  // namespace

TEST_CASE("logits of several teachers have the weighted mean of their probabilities at the temperature") {
  const std::vector<std::vector<float>> logits{{2, 0, -1, 0, 0, 3}, {-1, 4, 0, 1, 0, 0}};
  const std::vector<double> shares{0.75, 0.25};
  for (const double temperature : {1.0, 4.0}) {
    const std::vector<float> mean = mean_of_teachers(logits, shares, 3, temperature);
    REQUIRE(mean.size() == 6);
    for (std::size_t row = 0; row < 2; ++row) {
      const std::vector<double> found = softmax(mean.data() + 3 * row, 3, temperature);
      const std::vector<double> a = softmax(logits[0].data() + 3 * row, 3, temperature),
                                b = softmax(logits[1].data() + 3 * row, 3, temperature);
      for (std::size_t c = 0; c < 3; ++c) CHECK(found[c] == doctest::Approx(0.75 * a[c] + 0.25 * b[c]).epsilon(1e-5));
    }
  }
  // A probability too small for a double is no infinite logit.
  const std::vector<float> sure = mean_of_teachers({{0, 5000}, {0, 5000}}, shares, 2, 1);
  CHECK(std::isfinite(sure[0]));
}

TEST_CASE("two teachers of one cache teach one student, by their mean probabilities and a feature term each") {
  const TwoTeachers fixture;
  TrainOptions options = fixture.both("run");
  options.targets.teacher_shares = {3, 1};
  const std::vector<float> expected = mean_of_teachers({fixture.logits_of("small"), fixture.logits_of("other")},
                                                       std::vector<double>{0.75, 0.25}, 3, options.loss.temperature);
  CHECK(fixture.logits_of(options) == expected);
  const Tensors weights = trained(options);
  for (const char* part : {"transformer1.", "transformer2."})
    CHECK(std::ranges::any_of(weights, [&](const auto& item) { return item.first.starts_with(part); }));
  options.targets.teacher_shares = {1, 3};
  options.output += "-other";
  CHECK(differences(weights, trained(options)) != std::vector<std::string>{});
  // It resumes where it stopped, with both teachers' tracks in its checkpoint.
  options.schedule.joint.epochs = 2;
  options.extend = true;
  CHECK(vitrine::testing::train(options).finished);
}

TEST_CASE("teachers that cannot teach together are refused with the key") {
  const TwoTeachers fixture;
  const auto refused = [&](const auto& change) {
    TrainOptions options = fixture.both("run");
    change(options.targets);
    return message_of([&] { fixture.source(options); });
  };
  CHECK(has(refused([](TargetOptions& t) { t.cache_teacher = "small, small"; }), "names small twice"));
  const std::string whole = fixture.source(fixture.both("run"))->tracks().front().directory();
  const std::string small = whole.substr(0, whole.find('/'));
  REQUIRE(small.starts_with("small."));
  CHECK(has(refused([&](TargetOptions& t) { t.cache_teacher = "small, " + small; }), "names " + small + " twice"));
  CHECK(has(refused([&](TargetOptions& t) { t.features = "small/features.1, " + small + "/features.1"; }),
            "names " + small + "/features.1 twice"));
  CHECK(has(refused([](TargetOptions& t) { t.teacher_shares = {1}; }), "targets.teacher_shares has 1 number for 2"));
  CHECK(has(refused([](TargetOptions& t) { t.teacher_shares = {0, 0}; }), "not all 0"));
  CHECK(has(refused([](TargetOptions& t) { t.features = "features.1"; }), "name it small/features.1"));
  CHECK(has(refused([](TargetOptions& t) {
              t.cache_teacher = "small, third";
              t.features = t.attention = "";
            }),
            "third"));

  const std::filesystem::path wide = fixture.root / "wide.safetensors";
  fixture.save_teacher(wide, 5);
  const std::filesystem::path map = fixture.root / "map.txt";
  vitrine::testing::write_whole(map, "0 ant\n1 bee\n4 cat\n");
  fixture.make_cache({"teacher.name=wide", "teacher.weights=" + wide.string(), "taps.features=[]", "taps.attention=[]",
                      "class_map=" + map.string()});
  CHECK(has(refused([](TargetOptions& t) {
              t.cache_teacher = "small, wide";
              t.features = t.attention = "";
            }),
            "teachers of different classes cannot teach together"));
  fixture.make_cache(
      {"teacher.name=few", "taps.features=[]", "taps.attention=[]", "taps.logits_encoding=topk", "taps.topk=2"});
  CHECK(has(refused([](TargetOptions& t) {
              t.cache_teacher = "other, few";
              t.features = t.attention = "";
            }),
            "keeps the largest logits only"));
}

TEST_CASE("teachers whose recorded class names differ are refused, with and without a class map") {
  const TwoTeachers fixture;
  TrainOptions options = fixture.both("run");
  const std::string logits = fixture.source(options)->tracks().front().directory();
  write_teacher_classes(fixture.root / "cache", logits.substr(0, logits.find('/')), {"cat", "ant", "bee"});
  const std::filesystem::path map = fixture.root / "map.txt";
  vitrine::testing::write_whole(map, "0 cat\n1 ant\n2 bee\n");
  for (const std::string& file : {std::string(), map.string()}) {
    options.targets.class_map = file;
    const std::string refused = message_of([&] { fixture.source(options); });
    CAPTURE(refused);
    CHECK(has(refused, "have other names or another order"));
    CHECK(has(refused, "name one of them in targets.cache_teacher"));
  }
  options.targets.cache_teacher = "small";
  options.targets.features = "small/features.1";
  options.transformer.stages.clear();
  CHECK_NOTHROW(fixture.source(options));
}

TEST_CASE("the embedding term draws the student's pooled feature to the teacher's embedding") {
  at::manual_seed(1);
  EmbeddingProjector projector(4, 3);
  const at::Tensor stage = at::randn({2, 4, 2, 2}), target = at::randn({2, 3}).requires_grad_();
  const at::Tensor loss = projector->forward(stage, target);
  const at::Tensor own = at::linear(stage.mean({2, 3}), projector->parameters()[0], projector->parameters()[1]);
  const double expected = (1 - at::cosine_similarity(own, target.detach(), 1)).mean().item<double>();
  CHECK(loss.item<double>() == doctest::Approx(expected).epsilon(1e-6));
  loss.backward();
  CHECK_FALSE(target.grad().defined());
  CHECK(projector->parameters()[0].grad().abs().sum().item<double>() > 0);

  const TwoTeachers fixture;
  TrainOptions options = fixture.joint(TargetKind::kCache, "run", 2);
  options.targets.cache_teacher = "small";
  options.targets.embedding = true;
  const Tensors weights = trained(options);
  CHECK(weights.contains("embedding.layer.weight"));
  CHECK_FALSE(read_log(options).at("embedding").front().empty());
  // From the live teacher the same, to the bit of the codec.
  TrainOptions live = fixture.joint(TargetKind::kTeacher, "live", 2);
  live.targets.embedding = live.targets.taps.embedding = true;
  live.targets.taps.logits_encoding = "fp32";
  CHECK(differences(weights, trained(live)) == std::vector<std::string>{});
}

TEST_CASE("a teacher without a head teaches by features, attention and embedding") {
  const TrainFixture fixture;
  Tensors headless = load_safetensors(fixture.weights);
  headless.erase("head.weight"), headless.erase("head.bias");
  const std::filesystem::path weights = fixture.root / "headless.safetensors";
  save_safetensors(weights, headless);
  const std::string printed = fixture.make_cache({"teacher.weights=" + weights.string(), "taps.embedding=true"});
  CHECK(has(printed, "has no head: no logits are kept"));
  TrainOptions options = fixture.joint(TargetKind::kCache, "run");
  options.targets.embedding = true;
  CHECK(fixture.source(options)->shapes().logits.empty());
  trained(options);
  const auto log = read_log(options);
  for (const char* term : {"feature", "attention", "embedding", "label"}) CHECK_FALSE(log.at(term).front().empty());
  CHECK(log.at("kl").front().empty());
  // Its probabilities cannot weigh the classes whose gradient guides.
  TrainOptions guided = options;
  guided.output += "-guided";
  guided.loss.attention = AttentionForm::kGradient;
  guided.loss.guidance_score = GuidanceScore::kTeacher;
  CHECK(has(message_of([&] { trained(guided); }), "loss.guidance_score = \"teacher\" needs the teacher's logits"));
  CHECK_FALSE(std::filesystem::exists(guided.output));
  guided.loss.guidance_score = GuidanceScore::kLabels;
  CHECK_NOTHROW(trained(guided));
  // Without any target but logits there is nothing to learn from.
  options.targets.embedding = false;
  options.targets.features = options.targets.attention = "";
  CHECK(has(message_of([&] { fixture.source(options); }), "no track of the name logits"));
}

TEST_CASE("a live teacher whose logits are not kept teaches by its features, as its cache does") {
  const TrainFixture fixture;
  fixture.make_cache({"taps.logits=false"});
  const Tensors cached = trained(fixture.joint(TargetKind::kCache, "cached"));
  TrainOptions live = fixture.joint(TargetKind::kTeacher, "live");
  live.targets.taps.logits = false;
  CHECK(differences(cached, trained(live)) == std::vector<std::string>{});
  CHECK(read_log(live).at("kl").front().empty());
  live.targets.embedding = true;
  CHECK(has(message_of([&] { fixture.source(live); }), "has no track embedding"));
  CHECK(has(message_of([&] { fixture.source(live); }), "; set targets.taps.embedding = true"));
  live.targets.embedding = false;
  live.targets.features = "features.7";
  CHECK(has(message_of([&] { fixture.source(live); }), "; name its block in targets.taps"));
}
