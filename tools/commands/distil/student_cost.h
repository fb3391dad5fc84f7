// What a training step of a student costs on this machine.
#ifndef VITRINE_TOOLS_COMMANDS_DISTIL_STUDENT_COST_H_
#define VITRINE_TOOLS_COMMANDS_DISTIL_STUDENT_COST_H_

#include <cstdint>
#include <string>

namespace vitrine {

struct StudentCost {
  double seconds = 0;  ///< of forward, backward and update per view, on the whole device
  std::string precision;
};

/// Times a few steps of a ResNet `arch` with random weights on random pictures of side `size`, in turn in "fp32" and
/// where the device computes it in "bf16", and returns the faster by its quickest step. `device`: as in the
/// configuration. Sets LibTorch's number of threads to all of this process's. Throws Error for an unknown architecture
/// and a device that cannot be used.
StudentCost student_cost(const std::string& arch, const std::string& device, std::uint32_t size, std::uint32_t classes);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_DISTIL_STUDENT_COST_H_
