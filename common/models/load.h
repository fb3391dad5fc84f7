// Between a module and its named tensors, by PyTorch's state-dict names.
#ifndef VITRINE_COMMON_MODELS_LOAD_H_
#define VITRINE_COMMON_MODELS_LOAD_H_

#include <torch/torch.h>

#include <string>

#include "common/models/safetensors.h"

namespace vitrine {

struct LoadReport {
  bool head_replaced = false;  ///< the file's head has another size; the module keeps its own, as it was initialised
  std::string prefix;          ///< that all names of the file had before the model's ("module."), or empty
  std::string note;            ///< what of that happened, for the user; else empty
};

/// Copies `tensors` into the module's parameters and buffers, wherever those live. Strict: the first tensor that is
/// missing, unexpected or of another shape (both shapes named) throws Error, which begins with `where` and says what
/// the file looks like (layout.h), and the module is unchanged. A prefix that all names share is left out. 16-bit
/// weights become FP32. A missing "num_batches_tracked" is allowed, as in PyTorch: files older than it exist.
///
/// `replaceable_head`: the name of a linear layer ("head", "fc") that may have another number of classes, or be absent,
/// in the file; it then stays as it is in the module, and the report says so. Empty: no such layer.
LoadReport load_weights(torch::nn::Module& module, const Tensors& tensors, const std::string& where,
                        const std::string& replaceable_head = "");

/// All parameters and buffers by name. They share memory with the module and carry no gradient.
Tensors state_dict(const torch::nn::Module& module);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_LOAD_H_
