#include "tests/support/message.h"
#include "tools/commands/cache/teacher/deep_values.h"

#include <algorithm>
#include <cmath>

#include "common/base/philox.h"
#include "common/codec/make_codec.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "common/teacher/teacher.h"
#include "tests/cache/sample.h"
#include "tests/support/testing.h"

using namespace vitrine;

using vitrine::testing::has;
using vitrine::testing::sample_teacher;

namespace {

constexpr std::uint32_t kViews = 16;
const double kSame = arithmetic_distance("fp32", true), kOther = arithmetic_distance("fp32", false);

// Features and logits: normal, channels of different size; attention: softmax of normals.
std::vector<float> values_of(const TrackInfo& track, std::uint32_t seed) {
  std::vector<float> values(track.view_values() * kViews);
  RandomStream draws(seed, Purpose::kSample);
  const std::size_t row = track.kind == "logits" ? values.size() : track.shape[1] * track.shape[2];
  for (std::size_t first = 0; first < values.size(); first += row) {
    double sum = 0;
    const double size = track.kind == "features" ? 1.0 / (1 + first / row % track.shape[0]) : 3;
    for (std::size_t i = first; i < first + row; ++i) {
      values[i] = static_cast<float>(size * draws.normal());
      if (track.kind == "attention") sum += values[i] = std::exp(values[i]);
    }
    for (std::size_t i = first; i < first + row && sum > 0; ++i) values[i] /= static_cast<float>(sum);
  }
  return values;
}

// Perturbs each value slightly, as another machine would; probabilities stay normalised.
std::vector<float> elsewhere(const std::vector<float>& values, double by) {
  std::vector<float> out = values;
  RandomStream draws(99, Purpose::kSample);
  const float largest = *std::ranges::max_element(values);
  for (float& x : out) x = std::min(largest, static_cast<float>(x * (1 + by * draws.uniform(-1.7, 1.7))));
  return out;
}

struct Sample {
  TrackInfo track;
  std::shared_ptr<const FeatureBasis> basis;
  std::unique_ptr<const Codec> codec;
  std::vector<float> now, stored;

  Sample(const std::string& kind, CodecSettings settings, const std::vector<CodecSettings>& recoded_from = {}) {
    track.teacher = sample_teacher("tiny"), track.kind = kind;
    track.shape = kind == "logits"     ? std::vector<std::uint32_t>{40}
                  : kind == "features" ? std::vector<std::uint32_t>{12, 4, 4}
                                       : std::vector<std::uint32_t>{3, 7, 7};
    for (const CodecSettings& earlier : recoded_from) track.recoded_from.push_back({.codec = earlier});
    now = values_of(track, 1);
    if (settings.encoding == Encoding::kTransform) {
      Calibrator calibrator(track.shape[0], track.shape[1], track.shape[2]);
      for (std::uint32_t seed = 1; seed < 5; ++seed) calibrator.add(values_of(track, seed), kViews);
      basis = std::make_shared<const FeatureBasis>(calibrator.finish(settings.max_error, kViews));
      settings.basis = basis->hash();
    }
    track.codec = settings;
    codec = make_codec(settings, track.shape, basis);
    stored = coded(now);
  }
  std::vector<float> coded(std::vector<float> values) const {
    through_codec(*codec, kViews, values);
    return values;
  }
  ValueFigures compare(const std::vector<float>& held, double arithmetic = kSame) const {
    return ValueCheck(track, *codec, basis.get()).compare(now, held, kViews, arithmetic);
  }
};

struct Case {
  const char* kind;
  CodecSettings codec;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"logits", {.encoding = Encoding::kFp32}},
      {"logits", {.encoding = Encoding::kFp16}},
      {"logits", {.encoding = Encoding::kInt8}},
      {"logits", {.encoding = Encoding::kUniform, .max_error = 1.0 / 64}},
      {"logits", {.encoding = Encoding::kUniform, .max_error = 0.5}},
      {"logits", {.encoding = Encoding::kTopk, .kept = 5, .temperatures = {1, 4}}},
      {"features", {.encoding = Encoding::kFp16}},
      {"features", {.encoding = Encoding::kInt8}},
      {"features", {.encoding = Encoding::kTransform, .max_error = 0.01}},
      {"features", {.encoding = Encoding::kTransform, .max_error = 0.3}},
      {"attention", {.encoding = Encoding::kFp32}},
      {"attention", {.encoding = Encoding::kSqrt8}},
  };
  return all;
}

}  // namespace

TEST_CASE("the teacher's own values are within bounds in every encoding, on this and another machine") {
  for (const Case& c : cases()) {
    CAPTURE(c.kind);
    CAPTURE(encoding_name(c.codec.encoding));
    CAPTURE(c.codec.max_error);
    const Sample sample(c.kind, c.codec);
    const ValueFigures same = sample.compare(sample.stored);
    CHECK(same.identical);
    CHECK(same.difference == 0);
    CHECK(!same.beyond());
    CHECK(same.why().empty());
    const ValueFigures other = sample.compare(sample.coded(elsewhere(sample.now, 1e-5)), kOther);
    CHECK(!other.beyond());
    CHECK(other.difference < other.tolerance);
  }
}

TEST_CASE("values that the teacher does not give are beyond bounds in every encoding") {
  for (const Case& c : cases()) {
    CAPTURE(c.kind);
    CAPTURE(encoding_name(c.codec.encoding));
    CAPTURE(c.codec.max_error);
    const Sample sample(c.kind, c.codec);
    const ValueFigures others = sample.compare(sample.coded(values_of(sample.track, 7)), kOther);
    CHECK(others.beyond());
    CHECK(!others.why().empty());
    CHECK(sample.compare(sample.coded(elsewhere(sample.now, 0.3)), kOther).beyond());
    // Its mean, which loses all information.
    double mean = 0;
    for (const float x : sample.now) mean += x / static_cast<double>(sample.now.size());
    CHECK(sample.compare(std::vector<float>(sample.now.size(), static_cast<float>(mean)), kOther).beyond());
  }
}

TEST_CASE("a transform's bound is the requested one, and a uniform codec's holds for each value") {
  const Sample features("features", {.encoding = Encoding::kTransform, .max_error = 0.01});
  const ValueFigures figures = features.compare(features.stored);
  CHECK(figures.error > 0);
  CHECK(figures.error <= 0.01);
  CHECK(figures.bound == doctest::Approx(0.01).epsilon(0.01));

  const Sample logits("logits", {.encoding = Encoding::kUniform, .max_error = 0.5});
  std::vector<float> one = logits.stored;
  one[0] += 1.5f;  // small among 640 values, but more than its codec may lose
  CHECK(logits.compare(one).beyond());
}

TEST_CASE("an attention map that lacks a head is beyond bounds") {
  const Sample sample("attention", {.encoding = Encoding::kSqrt8});
  std::vector<float> stored = sample.stored;
  std::fill_n(stored.begin() + 49, 49, 1.f / 49);
  const ValueFigures figures = sample.compare(stored, kOther);
  CHECK(figures.beyond());
  CHECK(figures.error > 0.1);  // total variation of that head
}

TEST_CASE("a recoded track is checked through its source's codecs too") {
  // Through a coarse int8 or uniform codec first: measured by the last codec alone, the error would be beyond its
  // bound.
  const Sample sample("features", {.encoding = Encoding::kFp16}, {{.encoding = Encoding::kInt8}});
  std::vector<float> stored = sample.now;
  through_codec(*make_codec({.encoding = Encoding::kInt8}, sample.track.shape), kViews, stored);
  stored = sample.coded(stored);
  const ValueCheck check(sample.track, *sample.codec, nullptr);
  CHECK(check.no_verdict().empty());
  CHECK(check.replayed());
  CHECK(check.compare(sample.now, stored, kViews, kSame).identical);
  CHECK(check.compare(sample.now, values_of(sample.track, 7), kViews, kOther).beyond());
}

TEST_CASE("after a transform whose basis is missing, the sum of all bounds is checked against the teacher") {
  const Sample source("features", {.encoding = Encoding::kTransform, .max_error = 0.01});
  const Sample sample("features", {.encoding = Encoding::kFp16},
                      {{.encoding = Encoding::kTransform, .max_error = 0.01}});
  const ValueCheck check(sample.track, *sample.codec, nullptr);
  CHECK(check.no_verdict().empty());
  CHECK(!check.replayed());
  const ValueFigures held = check.compare(sample.now, sample.coded(source.stored), kViews, kSame);
  CHECK(!held.beyond());
  CHECK(held.tolerance == 0);
  CHECK(held.error > 0.001);
  CHECK(held.bound < 0.03);
  CHECK(check.compare(sample.now, std::vector<float>(sample.now.size(), 0.f), kViews, kOther).beyond());
}

TEST_CASE("when nothing can be checked, the report says so, with the reason") {
  const CodecSettings coarse{.encoding = Encoding::kTransform, .max_error = 0.4};
  Sample unknown("features", {.encoding = Encoding::kFp16}),
      wide("features", {.encoding = Encoding::kFp16}, {coarse, coarse});
  unknown.track.recoded_from = {{.unknown = R"({"encoding":"wavelets"})"}};
  CHECK(has(ValueCheck(unknown.track, *unknown.codec, nullptr).no_verdict(), "wavelets"));
  CHECK(has(ValueCheck(wide.track, *wide.codec, nullptr).no_verdict(), "combined bounds"));
}
