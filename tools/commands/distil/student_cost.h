// What a training step of a student costs on this machine.
#ifndef VITRINE_TOOLS_COMMANDS_DISTIL_STUDENT_COST_H_
#define VITRINE_TOOLS_COMMANDS_DISTIL_STUDENT_COST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/models/model_options.h"

namespace vitrine {

struct StudentCost {
  double seconds = 0;  ///< of forward, backward and update per view, on the whole device
  std::string precision;
  double weight_bytes = 0;  ///< of its parameters and buffers
};

/// Times a few steps of a `model` with random weights on random pictures of side `size`, in turn in each of
/// `precisions`, and returns the quickest by its quickest step. The first precision must be one of the device's; others
/// that it does not compute are passed over. `device`: as in the configuration. Sets LibTorch's number of threads to
/// all of this process's. Throws Error for an unknown architecture and a device that cannot be used.
StudentCost student_cost(const ModelOptions& model, const std::string& device, std::uint32_t size,
                         std::uint32_t classes, const std::vector<std::string>& precisions = {"fp32", "bf16"});

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_DISTIL_STUDENT_COST_H_
