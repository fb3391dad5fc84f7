// Tensors as they lie in a mapped weight file, before it is known which of them are needed.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_STORED_TENSOR_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_STORED_TENSOR_H_

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/files.h"

namespace vitrine {

using SharedFile = std::shared_ptr<const MappedFile>;

struct StoredTensor {
  /// A read-only view of the file's bytes, which it keeps mapped; undefined if it has no values that can be used.
  at::Tensor tensor;
  /// If `tensor` is undefined, why: "has dtype F8_E4M3".
  std::string unusable;
};

/// By name.
using StoredTensors = std::map<std::string, StoredTensor>;

/// A tensor over `bytes` of `file`, without a copy unless they are misaligned for `type`. The caller has checked that
/// every element lies in `bytes`. The tensor must not be written to.
at::Tensor view_of_file(const SharedFile& file, std::span<const std::byte> bytes,
                        const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& strides,
                        at::ScalarType type);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_STORED_TENSOR_H_
