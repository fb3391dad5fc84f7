// The models on a GPU compared with the CPU, and what a GPU refuses.
#include <ATen/ATen.h>

#include "common/base/error.h"
#include "common/models/autocast.h"
#include "common/models/device.h"
#include "common/models/precision.h"
#include "common/models/resnet.h"
#include "common/models/torch_errors.h"
#include "common/models/vit/vit.h"
#include "tests/models/samples.h"
#include "tests/support/device.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::distance;
using vitrine::testing::gpu_or_skip;
using vitrine::testing::has;
using vitrine::testing::message_of;

namespace {

c10::Device gpu() {
  return select_device(vitrine::testing::test_device());
}

VitOptions vit_for_gpu() {
  return {"", 64, 8, 96, 4, 3, 50, 4};
}

/// Logits of a ViT and of a ResNet on the GPU, and how far they are from the CPU's in FP32, relative.
struct Outputs {
  at::Tensor logits[2];
  double distance[2];
};
Outputs compared_outputs(const std::string& precision) {
  const at::NoGradGuard no_grad;
  const c10::Device device = gpu();
  const PrecisionScope scope(precision, device, "precision");
  at::manual_seed(3);
  Vit vit(vit_for_gpu());
  ResNet resnet("resnet18", 50, 16);
  resnet->eval();
  const at::Tensor x = at::randn({8, 3, 64, 64});
  const at::Tensor expected[] = {vit->forward(x).logits, resnet->forward(x).logits};
  vit->to(device);
  resnet->to(device);
  const Autocast autocast(device, compute_type(precision));
  Outputs out{{vit->forward(x.to(device)).logits, resnet->forward(x.to(device)).logits}, {}};
  for (int i = 0; i < 2; ++i) out.distance[i] = distance(out.logits[i], expected[i]);
  return out;
}

}  // namespace

TEST_CASE("fp32 on a GPU is FP32, and the other precisions are what their bits allow") {
  if (!gpu_or_skip()) return;
  // FP32 rounds at 2^-24, TF32 and FP16 at 2^-11, BF16 at 2^-8; some hundred roundings on the way.
  for (const auto& [precision, limit] : {std::pair{"fp32", 1e-4}, {"tf32", 2e-2}, {"fp16", 2e-2}, {"bf16", 1e-1}}) {
    CAPTURE(precision);
    if (selected_gpu(gpu()).capability < 80 && std::string(precision) != "fp32" && std::string(precision) != "fp16")
      continue;
    const Outputs out = compared_outputs(precision);
    for (int i = 0; i < 2; ++i) {
      CHECK((out.logits[i].scalar_type() == at::kFloat));
      CHECK(out.distance[i] < limit);
      if (std::string(precision) != "fp32") CHECK(out.distance[i] > 1e-4);  // it was switched
    }
  }
}

TEST_CASE("heads compute in FP32 on a GPU too") {
  if (!gpu_or_skip()) return;
  const Outputs out = compared_outputs("fp16");
  for (const at::Tensor& logits : out.logits)
    CHECK(logits.to(at::kHalf).to(at::kFloat).ne(logits).to(at::kFloat).mean().item<double>() > 0.9);
}

TEST_CASE("a frozen ViT on a GPU is near FP32, and gives the same bits twice") {
  if (!gpu_or_skip()) return;
  const at::NoGradGuard no_grad;
  VitStructure beit = structure_of(vit_for_gpu());
  beit.positions = VitPositions::kNone;
  beit.relative_positions = true;
  VitStructure dinov3 = structure_of(vit_for_gpu());
  dinov3.positions = VitPositions::kNone;
  dinov3.rope = VitRope::kDinov3, dinov3.rope_temperature = 100, dinov3.rope_half = true;
  dinov3.layer_scale = VitLayerScale::kGamma;
  for (const VitStructure& structure : {structure_of(vit_for_gpu()), beit, dinov3}) {
    at::manual_seed(3);
    Vit vit(structure);
    const at::Tensor x = at::randn({8, 3, 64, 64});
    const VitTaps taps{{2}, {1}, true};
    const VitOutputs expected = vit->forward(x, taps);
    vit->to(gpu());
    vit->freeze(at::kHalf);
    const VitOutputs a = vit->forward(x.to(gpu()), taps), b = vit->forward(x.to(gpu()), taps);
    CHECK((a.logits.scalar_type() == at::kFloat));
    CHECK(distance(a.logits, expected.logits) < 2e-2);
    CHECK(distance(a.logits, expected.logits) > 1e-5);
    CHECK(distance(a.features[0], expected.features[0]) < 2e-2);
    CHECK(distance(a.attentions[0], expected.attentions[0]) < 2e-2);
    CHECK(at::equal(a.logits, b.logits));
  }
}

TEST_CASE("a forward gives the same bits twice") {
  if (!gpu_or_skip()) return;
  for (const char* precision : {"fp32", "fp16"}) {
    const Outputs a = compared_outputs(precision), b = compared_outputs(precision);
    for (int i = 0; i < 2; ++i) CHECK(at::equal(a.logits[i], b.logits[i]));
  }
}

TEST_CASE("a GPU's memory that runs out is an Error that names the key, and the GPU goes on") {
  if (!gpu_or_skip()) return;
  const c10::Device device = gpu();
  CHECK(selected_gpu(device).memory > 0);
  try {
    with_torch_errors({"the step", "lower micro_batch", ""}, [&] {
      return at::empty({static_cast<std::int64_t>(selected_gpu(device).memory)},
                       at::TensorOptions(device).dtype(at::kDouble));
    });
    FAIL("more memory than the GPU has was given");
  } catch (const Error& error) {
    CHECK((error.kind() == ErrorKind::kMemory));
    CHECK(has(error.what(), "does not fit into the memory of the GPU"));
    CHECK(has(error.what(), "; lower micro_batch"));
  }
  CHECK(at::ones({3}, at::TensorOptions(device)).sum().item<double>() == 3);
}

TEST_CASE("a GPU that is not there is refused by number") {
  if (!gpu_or_skip()) return;
  CHECK(has(message_of([] { select_device("cuda:100"); }), "\"cuda:100\" does not exist"));
  CHECK(*selected_gpu(gpu()).name != 0);
  CHECK(selected_gpu(gpu()).capability >= 75);
}
