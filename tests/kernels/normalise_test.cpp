#include <ATen/ATen.h>

#include "common/kernels/normalise.h"

#include "tests/support/testing.h"

using namespace vitrine;

namespace {

constexpr std::array<float, 3> kMean{0.485f, 0.456f, 0.406f}, kDeviation{0.229f, 0.224f, 0.225f};

/// Plain ATen arithmetic in double.
at::Tensor expected(const at::Tensor& pictures) {
  const auto colour = [](const std::array<float, 3>& v) {
    return at::tensor({v[0], v[1], v[2]}, at::kDouble).view({1, 3, 1, 1});
  };
  return (pictures.permute({0, 3, 1, 2}).to(at::kDouble) / 255 - colour(kMean)) / colour(kDeviation);
}

}  // namespace

TEST_CASE("every byte of every colour equals plain arithmetic") {
  // All 256 values in each colour, and more pixels than one grain of work.
  auto pictures = at::arange(2 * 96 * 128 * 3).remainder(256).to(at::kByte).reshape({2, 96, 128, 3}).contiguous();
  const auto ours = normalise_pictures(pictures, kMean, kDeviation);
  REQUIRE(ours.sizes() == at::IntArrayRef({2, 3, 96, 128}));
  CHECK((ours.scalar_type() == at::kFloat));
  CHECK(ours.is_contiguous(at::MemoryFormat::ChannelsLast));
  // Three roundings of values below 3: a few units of 2^-23.
  CHECK((ours.to(at::kDouble) - expected(pictures)).abs().max().item<double>() < 1e-6);
}

TEST_CASE("an empty batch gives an empty batch") {
  CHECK(normalise_pictures(at::empty({0, 4, 4, 3}, at::kByte), kMean, kDeviation).sizes() ==
        at::IntArrayRef({0, 3, 4, 4}));
}

TEST_CASE("other inputs are refused") {
  CHECK_THROWS_AS(normalise_pictures(at::zeros({1, 4, 4, 3}), kMean, kDeviation), c10::Error);
  CHECK_THROWS_AS(normalise_pictures(at::zeros({1, 3, 4, 4}, at::kByte), kMean, kDeviation), c10::Error);
  CHECK_THROWS_AS(normalise_pictures(at::zeros({1, 4, 3, 4}, at::kByte).transpose(2, 3), kMean, kDeviation),
                  c10::Error);
  CHECK_THROWS_AS(normalise_pictures(at::zeros({1, 4, 4, 3}, at::kByte), kMean, {1, 0, 1}), c10::Error);
}
