// Values and round trips for the codecs' tests.
#ifndef VITRINE_TESTS_CODEC_VALUES_H_
#define VITRINE_TESTS_CODEC_VALUES_H_

#include <cmath>
#include <vector>

#include "common/base/philox.h"
#include "common/codec/codec.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

namespace vitrine::testing {

inline std::vector<float> normal_values(std::size_t n, double deviation, std::uint64_t seed = 7) {
  RandomStream stream(seed, Purpose::kSample);
  std::vector<float> values(n);
  for (float& x : values) x = static_cast<float>(deviation * stream.normal());
  return values;
}

/// Encodes and decodes, and checks the arrays against the layout.
inline std::vector<float> round_trip(const Codec& codec, std::span<const float> values, std::uint32_t views) {
  const std::vector<Array> arrays = codec.encode(values, views);
  const std::vector<ArrayLayout> layout = codec.layout();
  REQUIRE(arrays.size() == layout.size());
  std::vector<std::span<const std::byte>> spans;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    CHECK(arrays[i].name == layout[i].name);
    CHECK(arrays[i].dtype == layout[i].dtype);
    if (!layout[i].whole_group) CHECK(arrays[i].bytes.size() == layout[i].view_bytes() * views);
    spans.push_back(arrays[i].bytes);
  }
  std::vector<float> out(values.size(), NAN);
  codec.decode(spans, views, out);
  return out;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_CODEC_VALUES_H_
