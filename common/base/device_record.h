// The device and libraries that computed a result, recorded as far as they can change its last digits.
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
  std::string capability;  ///< cpu: the instruction set LibTorch's kernels use ("AVX512"); cuda: "9.0"
  /// cpu: further instruction sets oneDNN's kernels may use, ascending ("AMX_BF16", "AVX512_BF16"); cuda: empty.
  std::vector<std::string> instruction_sets;
  /// Versions of the libraries that compute on this kind of device. cpu: libtorch; cuda: libtorch, cuda, cudnn, cublas.
  std::map<std::string, std::string> libraries;

  auto operator<=>(const DeviceRecord&) const = default;
  bool operator==(const DeviceRecord&) const = default;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_DEVICE_RECORD_H_
