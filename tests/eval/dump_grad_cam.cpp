// Grad-CAM as computed by Vitrine, as safetensors, for grad_cam_peer.py to compare with.
//   peer_values grad_cam ARCH WEIGHTS INPUT OUT     input: x FP32 [N, 3, H, W], classes int64 [N]; output: maps
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/eval/grad_cam.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "tests/support/peer_values.h"

namespace vitrine::testing {

void dump_grad_cam(const Arguments& a) {
  if (a.size() != 4) fail("grad_cam takes ARCH WEIGHTS INPUT OUT");
  const Tensors weights = load_safetensors(a[1]), input = load_safetensors(a[2]);
  ResNet model(a[0], static_cast<int>(weights.at("fc.weight").size(0)));
  load_weights(*model, weights, a[1]);
  save_safetensors(a[3], {{"maps", grad_cam(model, input.at("x"), input.at("classes"))}});
}

}  // namespace vitrine::testing
