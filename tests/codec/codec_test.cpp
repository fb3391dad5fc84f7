#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "common/base/error.h"
#include "common/codec/encoding.h"
#include "common/codec/frame.h"
#include "common/codec/half.h"
#include "tests/codec/values.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;

namespace {

using Shape = std::vector<std::uint32_t>;
using vitrine::testing::message_of;
using vitrine::testing::normal_values;
const Shape kShapes[] = {{1}, {10}, {1000}, {3, 1, 1}, {7, 3, 5}, {12, 14, 14}};
constexpr float kInfinity = std::numeric_limits<float>::infinity(), kMax = std::numeric_limits<float>::max();

std::size_t product(const Shape& shape) {
  std::size_t n = 1;
  for (const auto axis : shape) n *= axis;
  return n;
}

std::vector<float> round_trip(Encoding encoding, std::span<const float> values, std::uint32_t views,
                              const Shape& shape) {
  const std::vector<Array> arrays = encode(encoding, values, views, shape);
  std::vector<std::span<const std::byte>> bytes;
  const std::vector<ArrayLayout> layout = array_layout(encoding, shape);
  REQUIRE(arrays.size() == layout.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    CHECK(arrays[i].name == layout[i].name);
    CHECK(arrays[i].dtype == layout[i].dtype);
    CHECK(arrays[i].bytes.size() == layout[i].view_bytes() * views);
    bytes.push_back(arrays[i].bytes);
  }
  std::vector<float> out(values.size(), NAN);
  decode(encoding, bytes, views, shape, out);
  return out;
}

}  // namespace

TEST_CASE("fp32 comes back bit for bit") {
  for (const Shape& shape : kShapes) {
    std::vector<float> values = normal_values(4 * product(shape), 3);
    values[0] = -0.0f, values[1] = kMax, values[2] = 1e-45f;
    const std::vector<float> back = round_trip(Encoding::kFp32, values, 4, shape);
    CHECK(std::memcmp(back.data(), values.data(), values.size() * sizeof(float)) == 0);
  }
}

TEST_CASE("fp16's error is at most half a unit in the last place") {
  for (const double deviation : {1e-7, 1e-4, 1.0, 1e4}) {
    const std::vector<float> values = normal_values(4 * 735, deviation);
    const std::vector<float> back = round_trip(Encoding::kFp16, values, 4, {7, 3, 35});
    for (std::size_t i = 0; i < values.size(); ++i)
      CHECK(std::fabs(back[i] - values[i]) <= std::max(std::fabs(values[i]) * 0x1p-11f, 0x1p-25f));
  }
}

TEST_CASE("every half survives conversion to float and back, and both implementations agree") {
  std::vector<std::uint16_t> halves(65536), again(65536);
  std::vector<float> floats(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  from_half(std::as_bytes(std::span(halves)), floats);
  to_half(floats, again);
  int wrong = 0;
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const bool nan = (i & 0x7C00) == 0x7C00 && (i & 0x3FF) != 0;
    wrong += again[i] != (nan ? (i | 0x200) : i);
    wrong += std::bit_cast<std::uint32_t>(floats[i]) != std::bit_cast<std::uint32_t>(from_half_portable(halves[i]));
  }
  CHECK(wrong == 0);
}

TEST_CASE("both implementations round to the nearest half, ties to even") {
  // Just below, at, and just above the midpoint of each two neighbouring halves.
  std::vector<float> values;
  std::vector<std::uint16_t> expected;
  for (std::uint32_t h = 0; h < 0x7BFF; ++h) {
    const float low = from_half_portable(static_cast<std::uint16_t>(h)),
                high = from_half_portable(static_cast<std::uint16_t>(h + 1));
    const float middle = low + (high - low) / 2;
    for (const float sign : {1.0f, -1.0f}) {
      const auto bit = static_cast<std::uint16_t>(sign < 0 ? 0x8000 : 0);
      values.insert(values.end(),
                    {sign * std::nextafter(middle, 0.0f), sign * middle, sign * std::nextafter(middle, kInfinity)});
      expected.insert(expected.end(),
                      {static_cast<std::uint16_t>(bit | h), static_cast<std::uint16_t>(bit | (h + (h & 1))),
                       static_cast<std::uint16_t>(bit | (h + 1))});
    }
  }
  std::vector<std::uint16_t> halves(values.size());
  to_half(values, halves);
  CHECK(halves == expected);
  int wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) wrong += to_half_portable(values[i]) != expected[i];
  CHECK(wrong == 0);
  CHECK(to_half_portable(65519.996f) == 0x7BFF);
  CHECK(to_half_portable(65520.0f) == 0x7C00);
  CHECK(to_half_portable(-kInfinity) == 0xFC00);
}

TEST_CASE("int8's error is at most half a step of its row") {
  for (const Shape& shape : kShapes)
    for (const double deviation : {1e-42, 1e-20, 1.0, 1e30}) {
      const std::uint32_t views = 4;
      const std::vector<float> values = normal_values(views * product(shape), deviation);
      const std::vector<float> back = round_trip(Encoding::kInt8, values, views, shape);
      const std::size_t rows = views * (shape.size() > 1 ? shape[0] : 1), width = values.size() / rows;
      for (std::size_t r = 0; r < rows; ++r) {
        float largest = 0;
        for (std::size_t i = 0; i < width; ++i) largest = std::max(largest, std::fabs(values[r * width + i]));
        // Below the smallest normal float the step itself is rounded, which adds 127 times its last place.
        const double bound = largest / 127.0 * 0.5 * (1 + 1e-4) + 64 * 1.5e-45;
        for (std::size_t i = 0; i < width; ++i)
          CHECK(std::fabs(static_cast<double>(back[r * width + i]) - values[r * width + i]) <= bound);
      }
    }
}

TEST_CASE("int8 holds zeros and the largest floats") {
  const std::vector<float> values{0, 0, -0.0f, 0, kMax, -kMax, kMax / 2, 1};
  const std::vector<float> back = round_trip(Encoding::kInt8, values, 1, {2, 2, 2});
  for (int i = 0; i < 4; ++i) CHECK(back[static_cast<std::size_t>(i)] == 0);
  for (const float x : back) CHECK(std::isfinite(x));
  CHECK(back[4] > 0.999f * kMax);
  CHECK(back[5] == -back[4]);
}

TEST_CASE("in int8 a large channel does not coarsen another") {
  const std::vector<float> back = round_trip(Encoding::kInt8, std::vector<float>{1000, 1, 0.01f, 0.02f}, 1, {2, 1, 2});
  CHECK(back[2] == doctest::Approx(0.01).epsilon(0.01));
}

TEST_CASE("sqrt8's error is at most half a step of the square root") {
  std::vector<float> values;
  for (int i = 0; i <= 10000; ++i) values.push_back(static_cast<float>(std::pow(i / 10000.0, 3)));
  values.push_back(1.0005f);
  const std::vector<float> back = round_trip(Encoding::kSqrt8, values, 1, {static_cast<std::uint32_t>(values.size())});
  for (std::size_t i = 0; i + 1 < values.size(); ++i)
    CHECK(std::fabs(std::sqrt(static_cast<double>(back[i])) - std::sqrt(static_cast<double>(values[i]))) <=
          0.5 / 255 + 1e-6);
  CHECK(back.front() == 0);
  CHECK(back.back() == 1);
}

TEST_CASE("values that cannot be stored are refused, and the view is named") {
  for (const Encoding encoding : {Encoding::kFp32, Encoding::kFp16, Encoding::kInt8, Encoding::kSqrt8})
    for (const float bad : {NAN, kInfinity, -kInfinity}) {
      std::vector<float> values(3 * 4, 0.5f);
      values[9] = bad;
      CHECK(message_of([&] { encode(encoding, values, 3, {4}); }).starts_with("view 2 "));
    }
  CHECK(message_of([] {
          encode(Encoding::kFp16, std::vector<float>{0, 65520}, 2, {1});
        }).starts_with("view 1 has the value 65520"));
  CHECK(encode(Encoding::kFp16, std::vector<float>{0, 65519}, 2, {1}).size() == 1);
  CHECK(message_of([] { encode(Encoding::kSqrt8, std::vector<float>{-0.1f}, 1, {1}); }).starts_with("view 0 "));
  CHECK(message_of([] { encode(Encoding::kSqrt8, std::vector<float>{1.1f}, 1, {1}); }).starts_with("view 0 "));
}

TEST_CASE("arrays of a wrong size are refused") {
  const std::vector<std::byte> bytes(15);
  const std::span<const std::byte> array = bytes;
  std::vector<float> out(8);
  CHECK_THROWS_AS(decode(Encoding::kFp16, std::span(&array, 1), 2, {4}, out), Error);
  CHECK_THROWS_AS(decode(Encoding::kInt8, std::span(&array, 1), 2, {4}, out), Error);
}

TEST_CASE("encodings have names, and the numbers of the format") {
  const char* const names[] = {"fp32", "fp16", "int8", "sqrt8", "uniform", "topk", "transform"};
  for (std::size_t number = 0; number < std::size(names); ++number) {
    const auto encoding = static_cast<Encoding>(number);
    CHECK(encoding_name(encoding) == std::string(names[number]));
    CHECK(encoding_from_name(names[number], "here") == encoding);
    CHECK(is_plain(encoding) == (number < 4));
  }
  CHECK(message_of([] { encoding_from_name("fp8", "track.json"); }) ==
        "track.json: unknown encoding \"fp8\"; expected one of fp32, fp16, int8, sqrt8, uniform, topk and transform");
}

TEST_CASE("a frame's window limits how far back repetitions are found") {
  std::vector<std::byte> noise(8192), bytes;  // no repetition within the window
  std::mt19937 generator(3);
  for (std::byte& one : noise) one = static_cast<std::byte>(generator());
  for (int i = 0; i < 4; ++i) bytes.insert(bytes.end(), noise.begin(), noise.end());
  const std::size_t near = compress_frame(bytes, {1, kMinWindow}).size(), far = compress_frame(bytes, {1, 15}).size();
  CHECK(near > bytes.size());
  CHECK(far < bytes.size() / 3);
  CHECK(compress_frame(bytes, 1) == compress_frame(bytes, {1, 0}));
  for (const int window : {0, kMinWindow, kMaxWindow}) {
    std::vector<std::byte> out(bytes.size());
    Decompressor().decompress(compress_frame(bytes, {1, window}), out, "here");
    CHECK(out == bytes);
  }
}

TEST_CASE("a frame round-trips, and every damaged byte is detected or harmless") {
  std::vector<std::byte> bytes;
  for (int i = 0; i < 600; ++i) bytes.push_back(static_cast<std::byte>(i * i % 17));
  const std::vector<std::byte> frame = compress_frame(bytes, 1);
  std::uint32_t magic;
  std::memcpy(&magic, frame.data(), 4);
  CHECK(magic == kFrameMagic);
  Decompressor decompressor;
  std::vector<std::byte> out(bytes.size());
  decompressor.decompress(frame, out, "here");
  CHECK(out == bytes);
  int noticed = 0;
  for (std::size_t i = 0; i < frame.size(); ++i) {
    std::vector<std::byte> bad = frame;
    bad[i] ^= std::byte{0x10};
    try {
      decompressor.decompress(bad, out, "here");
      CHECK(out == bytes);
    } catch (const Error& error) {
      CHECK(std::string(error.what()).starts_with("here: "));
      ++noticed;
    }
  }
  CHECK(noticed > static_cast<int>(frame.size()) * 9 / 10);
  decompressor.decompress(frame, out, "here");  // usable after a failure
  CHECK(out == bytes);
  std::vector<std::byte> longer(bytes.size() + 1);
  CHECK_THROWS_AS(decompressor.decompress(frame, longer, "here"), Error);
}
