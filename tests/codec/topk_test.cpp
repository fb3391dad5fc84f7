#include "common/codec/make_codec.h"
#include "common/codec/topk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "tests/codec/values.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

CodecSettings topk(std::uint32_t kept, std::vector<double> temperatures, double max_error = 0) {
  CodecSettings settings;
  settings.encoding = Encoding::kTopk;
  settings.kept = kept;
  settings.temperatures = std::move(temperatures);
  settings.max_error = max_error;
  return settings;
}

struct Kept {
  std::vector<float> values, tail;
  std::vector<std::uint32_t> indices;
};

Kept keep(const CodecSettings& settings, std::uint32_t classes, std::span<const float> logits, std::uint32_t views) {
  settings.check({classes}, "test");
  const TopkCodec codec(settings, {classes});
  const std::vector<Array> arrays = codec.encode(logits, views);
  std::vector<std::span<const std::byte>> spans;
  for (const Array& array : arrays) spans.push_back(array.bytes);
  Kept out;
  out.values.resize(views * settings.kept), out.indices.resize(views * settings.kept);
  out.tail.resize(views * settings.temperatures.size());
  codec.decode_kept(spans, views, out.values, out.indices, out.tail);
  return out;
}

}  // namespace

TEST_CASE("topk keeps the largest in order with their classes, and the mass of the others at each temperature") {
  for (const std::uint32_t classes : {2u, 5u, 256u, 257u, 1000u, 65537u})
    for (const double max_error : {0.0, 1.0 / 64}) {
      const std::uint32_t kept = std::min(classes - 1, 20u), views = 3;
      const std::vector<float> logits = normal_values(views * classes, 4);
      const Kept back = keep(topk(kept, {1, 4}, max_error), classes, logits, views);
      for (std::uint32_t view = 0; view < views; ++view) {
        const float* row = logits.data() + view * classes;
        std::vector<float> sorted(row, row + classes);
        std::ranges::sort(sorted, std::greater());
        std::set<std::uint32_t> seen;
        for (std::uint32_t k = 0; k < kept; ++k) {
          const std::uint32_t c = back.indices[view * kept + k];
          CHECK(row[c] == sorted[k]);
          CHECK(seen.insert(c).second);
          const double bound = max_error > 0 ? max_error + 1e-6 : std::fabs(row[c]) * 0x1p-11 + 0x1p-25;
          CHECK(std::fabs(back.values[view * kept + k] - row[c]) <= bound);
        }
        for (const int t : {0, 1}) {
          const double temperature = t == 0 ? 1 : 4;
          double sum = 0;
          for (std::uint32_t k = kept; k < classes; ++k) sum += std::exp(sorted[k] / temperature);
          CHECK(back.tail[view * 2 + static_cast<std::uint32_t>(t)] == doctest::Approx(std::log(sum)).epsilon(1e-6));
        }
      }
    }
}

TEST_CASE("among equal logits the lower classes are kept") {
  const Kept back = keep(topk(3, {1}), 6, std::vector<float>{1, 2, 2, 1, 2, 2}, 1);
  CHECK(back.indices == std::vector<std::uint32_t>{1, 2, 4});
  CHECK(back.tail[0] == doctest::Approx(std::log(std::exp(2.0) + 2 * std::exp(1.0))));
}

TEST_CASE("classes are numbered in the narrowest type that holds them") {
  const auto index_type = [](std::uint32_t classes) { return make_codec(topk(1, {1}), {classes})->layout()[1].dtype; };
  CHECK(index_type(256) == "|u1");
  CHECK(index_type(257) == "<u2");
  CHECK(index_type(65536) == "<u2");
  CHECK(index_type(65537) == "<u4");
  CHECK(index_type(std::numeric_limits<std::uint32_t>::max()) == "<u4");
}

TEST_CASE("topk decoded to all classes has the tail's mass at the first temperature") {
  const std::vector<float> logits = normal_values(4 * 100, 3);
  const auto codec = make_codec(topk(10, {2, 1}), {100});
  const std::vector<float> back = round_trip(*codec, logits, 4);
  for (std::size_t view = 0; view < 4; ++view) {
    double before = 0, after = 0;
    for (std::size_t c = 0; c < 100; ++c) {
      before += std::exp(logits[view * 100 + c] / 2.0);
      after += std::exp(back[view * 100 + c] / 2.0);
    }
    CHECK(after == doctest::Approx(before).epsilon(1e-2));
  }
}

TEST_CASE("extreme logits: far apart, not finite, too large for the type") {
  const Kept far = keep(topk(1, {0.01, 1000}), 3, std::vector<float>{60000, -60000, -60000}, 1);
  CHECK(far.values[0] == 60000);
  CHECK(far.tail[0] == doctest::Approx(-6e6 + std::log(2.0)));
  CHECK(far.tail[1] == doctest::Approx(-60 + std::log(2.0)));
  for (const double max_error : {0.0, 1.0 / 64}) {
    const auto codec = make_codec(topk(1, {1}, max_error), {2});
    CHECK(message_of([&] {
            codec->encode(std::vector<float>{0, 1, NAN, 0}, 2);
          }).starts_with("view 1 has a value that is NaN"));
    CHECK(message_of([&] {
            codec->encode(std::vector<float>{0, 1, 1e6f, 0}, 2);
          }).starts_with("view 1 has the value 1e+06"));
  }
}

TEST_CASE("invalid settings are refused by name") {
  const auto refusal = [](const CodecSettings& settings, std::vector<std::uint32_t> shape) {
    return message_of([&] { make_codec(settings, shape); });
  };
  CHECK(has(refusal(topk(0, {1}), {5}), "kept = 0 of 5 classes"));
  CHECK(has(refusal(topk(5, {1}), {5}), "kept = 5 of 5 classes"));
  CHECK(has(refusal(topk(2, {}), {5}), "temperatures"));
  CHECK(has(refusal(topk(2, {1, 1}), {5}), "given twice"));
  CHECK(has(refusal(topk(2, {0}), {5}), "temperature 0"));
  CHECK(has(refusal(topk(2, {1}), {5, 2, 2}), "logits only"));
  CHECK(has(refusal(topk(2, {1}, -1), {5}), "max_error = -1"));
  CodecSettings settings;
  settings.encoding = Encoding::kUniform;
  CHECK(has(refusal(settings, {5}), "max_error = 0"));
  settings.encoding = Encoding::kInt8, settings.kept = 3;
  CHECK(has(refusal(settings, {5}), "int8 has no setting kept"));
  settings.kept = 0, settings.basis = "x";
  CHECK(has(refusal(settings, {5}), "no setting basis"));
}

TEST_CASE("a class that does not exist is refused") {
  const TopkCodec codec(topk(2, {1}), {3});
  std::vector<Array> arrays = codec.encode(std::vector<float>{1, 2, 3}, 1);
  arrays[1].bytes[0] = std::byte{3};
  const std::span<const std::byte> spans[] = {arrays[0].bytes, arrays[1].bytes, arrays[2].bytes};
  std::vector<float> out(3);
  CHECK(has(message_of([&] { codec.decode(spans, 1, out); }), "names class 3 of 3"));
}
