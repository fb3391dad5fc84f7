// The code of an exported module, loaded: one interface for each format of module_card.h.
#ifndef VITRINE_COMMON_TEACHER_MODULE_PROGRAM_H_
#define VITRINE_COMMON_TEACHER_MODULE_PROGRAM_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/models/torch_errors.h"
#include "common/teacher/module_card.h"

namespace vitrine {

class ModuleProgram {
 public:
  virtual ~ModuleProgram() = default;
  /// x: FP32 [micro_batch, 3, image_size, image_size], contiguous, on the program's device. Returns the outputs in the
  /// card's order, as the module made them. On a CPU calls run in parallel; the result does not depend on how many do.
  /// Throws Error if the module does not return what the card says; lets LibTorch's exceptions through.
  virtual std::vector<at::Tensor> run(const at::Tensor& x) = 0;
};

/// These execute code from the file. `card`: the file's own, already checked. Throw Error if it cannot be loaded.
std::unique_ptr<ModuleProgram> load_torchscript(const std::string& file, const ModuleCard& card, c10::Device device);
/// LibTorch unpacks the package into a directory /tmp/XXXXXX, which is removed with the program. If LibTorch cannot
/// load the library in it, it leaves the directory behind.
std::unique_ptr<ModuleProgram> load_package(const std::string& file, const ModuleCard& card, c10::Device device);

inline ComputeAdvice loading_module(const std::string& file) {
  return {.what = text("loading ", file), .memory = "choose a smaller teacher", .shapes = kExportAgain};
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_MODULE_PROGRAM_H_
