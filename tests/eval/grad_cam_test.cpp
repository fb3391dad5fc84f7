#include "common/eval/grad_cam.h"

#include <ATen/ATen.h>

#include "common/base/error.h"
#include "tests/support/testing.h"

using namespace vitrine;

namespace {

struct GradCamFixture {
  GradCamFixture() {
    at::manual_seed(11);
    model = ResNet("resnet18", 4, 8);
    pictures = at::randn({3, 3, 64, 96});
  }
  ResNet model{nullptr};
  at::Tensor pictures;
  at::Tensor classes = at::tensor({0, 3, 3}, at::kLong);
};

}  // namespace

TEST_CASE_FIXTURE(GradCamFixture,
                  "with a mean pool and one layer behind it, a map is the class's weights on the last stage") {
  model->eval();
  const at::Tensor maps = grad_cam(model, pictures, classes);
  REQUIRE(maps.sizes() == at::IntArrayRef({3, 2, 3}));
  const at::NoGradGuard no_grad;
  const at::Tensor stage = model->forward(pictures).stages.back();
  const at::Tensor weights = model->named_parameters()["fc.weight"].index_select(0, classes);
  const at::Tensor expected = at::einsum("nk,nkhw->nhw", {weights, stage}).relu();
  for (std::int64_t i = 0; i < 3; ++i) {
    const double largest = expected[i].max().item<double>();
    REQUIRE(largest > 0);
    CHECK(maps[i].max().item<double>() == 1);
    CHECK(at::allclose(maps[i], expected[i] / largest, 0, 1e-5));
  }
}

TEST_CASE_FIXTURE(GradCamFixture,
                  "a map does not depend on the other pictures, the model's mode or its frozen weights") {
  model->train();
  const at::Tensor maps = grad_cam(model, pictures, classes);
  CHECK(model->is_training());
  const at::Tensor mean = model->named_buffers()["bn1.running_mean"].clone();
  for (auto& weight : model->parameters()) {
    CHECK_FALSE(weight.grad().defined());
    weight.requires_grad_(false);
  }
  model->eval();
  const at::NoGradGuard no_grad;
  const at::Tensor last = grad_cam(model, pictures.slice(0, 2), classes.slice(0, 2));
  CHECK_FALSE(model->is_training());
  CHECK(at::allclose(last[0], maps[2], 0, 1e-5));
  CHECK(at::equal(model->named_buffers()["bn1.running_mean"], mean));
  CHECK_FALSE(maps.requires_grad());
}

TEST_CASE_FIXTURE(GradCamFixture, "without positive evidence a map is 0, not NaN") {
  const at::NoGradGuard no_grad;
  model->named_parameters()["fc.weight"].fill_(-1);
  const at::Tensor maps = grad_cam(model, pictures, classes);
  CHECK(maps.eq(0).all().item<bool>());
}

TEST_CASE_FIXTURE(GradCamFixture, "pictures and classes that do not fit are refused") {
  CHECK_THROWS_AS(grad_cam(model, pictures[0], classes), Error);
  CHECK_THROWS_AS(grad_cam(model, pictures.to(at::kByte), classes), Error);
  CHECK_THROWS_AS(grad_cam(model, pictures, classes.slice(0, 1)), Error);
  CHECK_THROWS_AS(grad_cam(model, pictures, classes.to(at::kInt)), Error);
  CHECK_THROWS_AS(grad_cam(model, pictures, classes + 1), Error);
  CHECK_THROWS_AS(grad_cam(model, pictures, classes - 1), Error);
  CHECK(grad_cam(model, pictures.slice(0, 0, 0), classes.slice(0, 0, 0)).numel() == 0);
}
