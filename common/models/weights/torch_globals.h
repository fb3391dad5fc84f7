// What may be named in a file of torch.save.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_TORCH_GLOBALS_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_TORCH_GLOBALS_H_

#include <string_view>

namespace vitrine {

enum class TorchGlobal {
  kUnknown,      ///< refused
  kInert,        ///< carried along as data: configurations, scalars of NumPy, dtypes, storages
  kContainer,    ///< a dictionary
  kTensor,       ///< called with a storage, an offset, sizes and strides
  kTypedTensor,  ///< the same, and the dtype as the seventh argument
  kParameter,    ///< called with a tensor
  kSubclass,     ///< called with one of the functions that make a tensor, a class, and that function's arguments
  kOtherTensor,  ///< makes a tensor that is sparse, quantised or of another kind that is not read
  kModule        ///< a TorchScript class, whose state has its parameters and modules
};

/// `name`: "collections.OrderedDict".
TorchGlobal torch_global(std::string_view name);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_TORCH_GLOBALS_H_
