#include <ATen/ATen.h>

#include <limits>

#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "train/optim/grad_scaler.h"

using namespace vitrine;

using vitrine::testing::has;
using vitrine::testing::message_of;

namespace {

const ScalerOptions kScaler{.scale = 1024, .growth = 4, .back_off = 0.25, .interval = 3};

std::vector<at::Tensor> finite() {
  return {at::tensor({512.0f, -2048.0f}), at::ones({2, 2})};
}
std::vector<at::Tensor> overflown() {
  return {at::ones({3}), at::tensor({1.0f, std::numeric_limits<float>::infinity()})};
}

}  // namespace

TEST_CASE("the scaler divides finite gradients by its scale, and grows after enough consecutive good updates") {
  GradScaler scaler(kScaler, at::kCPU);
  CHECK(scaler.scaled(at::full({}, 3.0f)).item<float>() == 3072);
  for (int update = 0; update < 3; ++update) {
    CHECK(scaler.scale() == 1024);
    const std::vector<at::Tensor> gradients = finite();
    CHECK(scaler.unscale(gradients));
    CHECK(at::equal(gradients[0], at::tensor({0.5f, -2.0f})));
    CHECK(at::equal(gradients[1], at::full({2, 2}, 1.0f / 1024)));
  }
  CHECK(scaler.scale() == 4096);
  CHECK(scaler.skipped() == 0);
  CHECK(scaler.unscale({}));
}

TEST_CASE(
    "an infinity or NaN in any gradient skips the update, shrinks the scale and resets the count of good updates") {
  GradScaler scaler(kScaler, at::kCPU);
  CHECK(scaler.unscale(finite()));
  CHECK(scaler.unscale(finite()));
  CHECK_FALSE(scaler.unscale(overflown()));
  CHECK(scaler.scale() == 256);
  CHECK_FALSE(scaler.unscale({at::full({1}, std::numeric_limits<float>::quiet_NaN())}));
  CHECK(scaler.scale() == 64);
  CHECK(scaler.skipped() == 2);
  CHECK(scaler.unscale(finite()));
  CHECK(scaler.unscale(finite()));
  CHECK(scaler.scale() == 64);
  CHECK(scaler.unscale(finite()));
  CHECK(scaler.scale() == 256);
}

TEST_CASE("a loaded scaler continues bit-equal to the saved one") {
  GradScaler scaler(kScaler, at::kCPU), other(kScaler, at::kCPU);
  scaler.unscale(overflown());
  scaler.unscale(finite());
  scaler.unscale(finite());
  other.load(scaler.state(), "file");
  CHECK(other.scale() == 256);
  CHECK(other.skipped() == 1);
  CHECK(other.unscale(finite()));
  CHECK(other.scale() == 1024);
  Tensors lacking = scaler.state();
  lacking.erase("good_updates");
  const std::string message = message_of([&] { other.load(lacking, "file"); });
  CHECK(message.find("file") == 0);
  CHECK(has(message, "good_updates"));
}
