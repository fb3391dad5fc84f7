#include "common/codec/dequantise.h"

#include <cstring>
#include <vector>

#include "common/base/philox.h"
#include "tests/support/testing.h"

using namespace vitrine;

namespace {

// Compares both loops with the formula; `shift` misaligns every array.
void check_rows(std::size_t rows, std::size_t per_row, std::size_t shift) {
  CAPTURE(rows);
  CAPTURE(per_row);
  CAPTURE(shift);
  RandomStream stream(3, Purpose::kSample);
  std::vector<std::int8_t> q(rows * per_row + shift);
  for (std::int8_t& x : q) x = static_cast<std::int8_t>(stream.bits());
  std::vector<std::byte> scales(rows * sizeof(float) + shift);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto scale = static_cast<float>(stream.normal());
    std::memcpy(scales.data() + shift + r * sizeof scale, &scale, sizeof scale);
  }
  const auto some_q = std::span(q).subspan(shift);
  const auto some_scales = std::span<const std::byte>(scales).subspan(shift);
  std::vector<float> fast(shift + rows * per_row + 1, -1.0f), plain = fast, expected = fast;
  dequantise_rows(some_q, some_scales, std::span(fast).subspan(shift, rows * per_row));
  dequantise_rows_portable(some_q, some_scales, std::span(plain).subspan(shift, rows * per_row));
  for (std::size_t i = 0; i < rows * per_row; ++i) {
    float scale;
    std::memcpy(&scale, some_scales.data() + i / per_row * sizeof scale, sizeof scale);
    expected[shift + i] = static_cast<float>(some_q[i]) * scale;
  }
  CHECK((fast == expected));  // memory before and after is unchanged
  CHECK((plain == expected));
}

}  // namespace

TEST_CASE("the fast and the plain loop give the same bits for rows of any length and alignment") {
  for (const std::size_t rows : {1u, 2u, 5u})
    for (const std::size_t per_row : {1u, 7u, 8u, 9u, 15u, 16u, 31u, 196u})
      for (const std::size_t shift : {0u, 1u}) check_rows(rows, per_row, shift);
  dequantise_rows({}, {}, {});
}

TEST_CASE("the loops agree for rows of several megabytes, where a cache line may span two rows") {
  for (const std::size_t shift : {0u, 1u, 15u}) {
    check_rows(2700, 196, shift);
    check_rows(31000, 17, shift);
    check_rows(33000, 16, shift);
    check_rows(1, 600001, shift);
    check_rows(600000, 1, shift);
  }
}

TEST_CASE("every byte b becomes (b / 255)², at any length") {
  for (const std::size_t count : {0u, 1u, 8u, 13u, 256u}) {
    std::vector<std::uint8_t> q;
    std::vector<float> expected, out(count + 1, -1.0f);
    for (std::size_t i = 0; i < count; ++i) {
      q.push_back(static_cast<std::uint8_t>(255 - i));
      const float root = static_cast<float>(q.back()) / 255.0f;
      expected.push_back(root * root);
    }
    expected.push_back(-1.0f);
    dequantise_squares(q, std::span(out).first(count));
    CHECK(out == expected);
  }
}
