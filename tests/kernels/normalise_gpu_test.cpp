#include <ATen/ATen.h>

#include "common/kernels/normalise.h"

#include "common/models/device.h"
#include "tests/support/device.h"
#include "tests/support/testing.h"

using namespace vitrine;

TEST_CASE("the CUDA kernel is bit-equal to the CPU's") {
  if (!vitrine::testing::gpu_or_skip()) return;
  const c10::Device device = select_device(vitrine::testing::test_device());
  constexpr std::array<float, 3> kMean{0.485f, 0.456f, 0.406f}, kDeviation{0.229f, 0.224f, 0.225f};
  // Odd sizes, an empty batch, and more values than one grid of blocks has threads.
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{3, 17, 5, 3}, {0, 4, 4, 3}, {40, 384, 384, 3}}) {
    const auto pictures = at::randint(0, 256, shape, at::kByte);
    const auto ours = normalise_pictures(pictures.to(device), kMean, kDeviation);
    CHECK((ours.device() == device));
    CHECK(ours.is_contiguous(at::MemoryFormat::ChannelsLast));
    CHECK(at::equal(ours.cpu(), normalise_pictures(pictures, kMean, kDeviation)));
  }
}
