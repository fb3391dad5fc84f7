#include "common/codec/uniform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "common/base/error.h"
#include "common/codec/make_codec.h"
#include "common/codec/frame.h"
#include "tests/codec/values.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

const std::vector<std::uint32_t> kUniformShapes[] = {{1}, {2}, {10}, {1000}, {3, 1, 1}, {7, 3, 5}};

CodecSettings uniform(double max_error) {
  CodecSettings settings;
  settings.encoding = Encoding::kUniform;
  settings.max_error = max_error;
  return settings;
}

// In real numbers the bound is exact; the decoded value is then rounded to float.
double bound(double max_error, float x) {
  return max_error + std::fabs(x) * 0x1p-24 + 1e-45;
}

}  // namespace

TEST_CASE("uniform: the error of every value is within the bound, for any shape and spread") {
  for (const auto& shape : kUniformShapes)
    for (const std::uint32_t views : {1u, 3u, 64u})
      for (const double max_error : {1.0 / 64, 0.3, 1e-3})
        for (const double deviation : {0.0, 1e-30, 0.02, 2.0, 3000.0}) {
          const auto codec = make_codec(uniform(max_error), shape);
          const std::vector<float> values = normal_values(views * view_values(shape), deviation);
          const std::vector<float> back = round_trip(*codec, values, views);
          int wrong = 0;
          for (std::size_t i = 0; i < values.size(); ++i)
            wrong += std::fabs(static_cast<double>(back[i]) - values[i]) > bound(max_error, values[i]);
          CHECK(wrong == 0);
        }
}

TEST_CASE("uniform encodes an outlier, an outlier class and values at the limit, and refuses values beyond") {
  const auto codec = make_codec(uniform(0.5), {4});  // the step is 1
  const std::vector<float> loud{0, 1, -1, 2, 1073741312.0f, -1073741312.0f, 0.5f, 1.5f, 0, 0, 70000, -70000};
  CHECK(round_trip(*codec, loud, 3) ==
        std::vector<float>{0, 1, -1, 2, 1073741312.0f, -1073741312.0f, 0, 2, 0, 0, 70000, -70000});
  CHECK(message_of([&] {
          codec->encode(std::vector<float>{0, 0, 0, 0, 0, 0x1p30f, 0, 0}, 2);
        }).starts_with("view 1 has the value 1.07374e+09, too large for a step of 1"));
  std::vector<float> class_apart = normal_values(64 * 4, 1);
  for (std::size_t view = 0; view < 64; ++view) class_apart[4 * view + 2] += 9000;
  const std::vector<float> back = round_trip(*codec, class_apart, 64);
  for (std::size_t i = 0; i < back.size(); ++i) CHECK(std::fabs(back[i] - class_apart[i]) <= 0.5f + 0.001f);
}

TEST_CASE("non-finite values are refused, and the view is named") {
  const auto codec = make_codec(uniform(0.1), {5});
  for (const float bad : {NAN, std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> values(15, 1);
    values[12] = bad;
    CHECK(message_of([&] { codec->encode(values, 3); }).starts_with("view 2 has a value that is "));
  }
}

TEST_CASE("zero padding after a whole group's array changes nothing, and encoding is deterministic") {
  const auto codec = make_codec(uniform(1.0 / 64), {37});
  const std::vector<float> values = normal_values(8 * 37, 3);
  std::vector<Array> arrays = codec->encode(values, 8), again = codec->encode(values, 8);
  std::vector<std::span<const std::byte>> spans;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    CHECK((arrays[i].bytes == again[i].bytes));
    arrays[i].bytes.resize(arrays[i].bytes.size() + 100);
    spans.push_back(arrays[i].bytes);
  }
  std::vector<float> out(values.size());
  codec->decode(spans, 8, out);
  CHECK(out == round_trip(*codec, values, 8));
}

TEST_CASE("any bytes are decoded or refused") {
  const auto codec = make_codec(uniform(1.0 / 64), {9});
  const std::vector<Array> arrays = codec->encode(normal_values(4 * 9, 2), 4);
  std::vector<float> out(36);
  RandomStream draws(3, Purpose::kSample);
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> low = arrays[0].bytes, high = arrays[1].bytes;
    low[draws.below(8)] = static_cast<std::byte>(draws.bits());
    if (round % 3 == 0) low.resize(draws.below(low.size()));
    if (round % 3 == 1) high.resize(draws.below(high.size()));
    const std::span<const std::byte> spans[] = {low, high};
    refused += message_of([&] { codec->decode(spans, 4, out); }).starts_with("decoding: ");
  }
  CHECK(refused > 1200);
}

TEST_CASE("logits take only a few bits more than their entropy") {
  // 64 views of 1000 classes, deviation 2, each class about a mean of its own with deviation 1, step 1/32. A Gaussian
  // of deviation s in steps of d has the entropy log2(s / d sqrt(2 pi e)).
  std::vector<float> values = normal_values(64 * 1000, 2);
  const std::vector<float> means = normal_values(1000, 1);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += means[i % 1000];
  const auto codec = make_codec(uniform(1.0 / 64), {1000});
  std::size_t bytes = 0;
  for (const Array& array : codec->encode(values, 64)) bytes += compress_frame(array.bytes, 1).size();
  const double bits = 8.0 * static_cast<double>(bytes) / static_cast<double>(values.size());
  const double entropy = std::log2(2 * 32 * std::sqrt(2 * M_PI * M_E));
  MESSAGE("bits per value: " << bits << ", entropy given the means: " << entropy);
  CHECK(bits < entropy + 0.2);
}

TEST_CASE("a group's arrays are at most as long as the codec's stated maximum") {
  const UniformCodec codec(0.5, {7});
  for (const std::uint32_t views : {1u, 5u, 64u})
    for (const double deviation : {0.0, 1.0, 1e4, 5e8}) {
      std::vector<float> values = normal_values(std::size_t{views} * 7, deviation);
      for (float& x : values) x = std::clamp(x, -1e9f, 1e9f);
      const std::vector<Array> arrays = codec.encode(values, views);
      for (std::size_t i = 0; i < arrays.size(); ++i) CHECK(arrays[i].bytes.size() <= codec.max_bytes(i, views));
      if (deviation == 5e8 && views > 1) CHECK(arrays[1].bytes.size() * 2 > codec.max_bytes(1, views));
    }
}
