// What computed something, as far as the last digits of its results depend on it.
#ifndef VITRINE_COMMON_BASE_DEVICE_RECORD_H_
#define VITRINE_COMMON_BASE_DEVICE_RECORD_H_

#include <compare>
#include <map>
#include <string>
#include <vector>

namespace vitrine {

struct DeviceRecord {
  std::string kind;        ///< "cpu" or "cuda"
  std::string name;        ///< the CPU's model or the GPU's name
  std::string capability;  ///< cpu: the instruction set that LibTorch's kernels take ("AVX512"); cuda: "9.0"
  /// cpu: what oneDNN's kernels may take beyond it, ascending ("AMX_BF16", "AVX512_BF16"); cuda: empty.
  std::vector<std::string> instruction_sets;
  /// Versions of what computes on such a device, and of nothing else. cpu: libtorch; cuda: libtorch, cuda, cudnn,
  /// cublas.
  std::map<std::string, std::string> libraries;

  auto operator<=>(const DeviceRecord&) const = default;
  bool operator==(const DeviceRecord&) const = default;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_DEVICE_RECORD_H_
