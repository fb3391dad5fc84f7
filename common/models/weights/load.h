// Loading and listing a module's tensors by PyTorch's state-dict names.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_LOAD_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_LOAD_H_

#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include <string>

#include "common/models/weights/safetensors.h"

namespace vitrine {

struct LoadReport {
  bool head_replaced = false;  ///< the file's head has another size; the module's keeps its initial weights
  std::string prefix;          ///< stripped from all names of the file ("module."), or empty
  std::string note;            ///< describes the above for the user; empty if nothing happened
};

/// Copies `tensors` into the module's parameters and buffers, on whatever device. Strict: the first tensor that is
/// missing, unexpected or has another shape throws Error and leaves the module unchanged. The message starts with
/// `where`, names both shapes and says what the file looks like (layout.h). A prefix shared by all names is stripped.
/// 16-bit weights are converted to FP32. A missing "num_batches_tracked" is allowed, as in PyTorch, for old files.
///
/// `replaceable_head`: the name of a linear layer ("head", "fc") that may be absent from the file or have another
/// number of classes; the module's layer is then unchanged and the report says so. Empty: none.
LoadReport load_weights(torch::nn::Module& module, const Tensors& tensors, const std::string& where,
                        const std::string& replaceable_head = "");

/// All parameters and buffers by name, detached; they share memory with the module.
Tensors state_dict(const torch::nn::Module& module);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_LOAD_H_
