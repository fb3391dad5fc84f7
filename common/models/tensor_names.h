// Questions to the names and shapes of a weight file.
#ifndef VITRINE_COMMON_MODELS_TENSOR_NAMES_H_
#define VITRINE_COMMON_MODELS_TENSOR_NAMES_H_

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/error.h"
#include "common/models/weights/safetensors.h"

namespace vitrine {

inline bool is_square(std::int64_t n) {
  const auto root = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(n))));
  return n >= 0 && root * root == n;
}

/// Reads names and shapes only. The tensors must outlive it.
class TensorNames {
 public:
  explicit TensorNames(const Tensors& tensors) : tensors_(tensors) {}
  bool has(const std::string& name) const { return tensors_.contains(name); }
  /// The first name that contains `word`, or "".
  std::string first_with(std::string_view word) const {
    for (const auto& [name, tensor] : tensors_)
      if (name.find(word) != std::string::npos) return name;
    return "";
  }
  bool any(std::string_view word) const { return !first_with(word).empty(); }
  /// The size of a tensor's dimension; nullopt if it does not exist.
  std::optional<std::int64_t> size(const std::string& name, std::int64_t dimension) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end() || found->second.dim() <= dimension) return std::nullopt;
    return found->second.size(dimension);
  }
  /// The number of tensors "prefix0suffix", "prefix1suffix", ...
  int count(const std::string& prefix, const std::string& suffix) const {
    int n = 0;
    while (has(text(prefix, n, suffix))) ++n;
    return n;
  }

 private:
  const Tensors& tensors_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_TENSOR_NAMES_H_
