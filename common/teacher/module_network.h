// A teacher exported from PyTorch, for architectures that Vitrine does not build itself (Swin, ConvNeXt, hybrids):
// tools/scripts/export_teacher.py makes the file. Running it runs the code in it.
#ifndef VITRINE_COMMON_TEACHER_MODULE_NETWORK_H_
#define VITRINE_COMMON_TEACHER_MODULE_NETWORK_H_

#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/teacher/module_card.h"
#include "common/teacher/module_program.h"
#include "common/teacher/network.h"

namespace vitrine {

class ModuleNetwork : public TeacherNetwork {
 public:
  /// Loads a module of either format. Throws Error, before anything in it runs, as ModuleFile::read and for a module of
  /// another kind of device or processor; and if it cannot be loaded. **Executes code from the file**: the caller must
  /// have the user's consent.
  ModuleNetwork(const std::filesystem::path& file, c10::Device device);

  const ModuleCard& card() const { return card_; }
  const NetworkShape& shape() const override { return card_.shape; }
  ArchitectureRecord record() const override;
  double forward_bytes(std::uint32_t views) const override;
  /// `x` must have card().micro_batch views; an Autocast around it has no effect. Throws Error if an output is missing
  /// or has another shape than the card says.
  TeacherOutputs forward(const at::Tensor& x, const TeacherTaps& taps) const override;

 private:
  at::Tensor take(const std::vector<at::Tensor>& outputs, const std::string& name,
                  const std::vector<std::int64_t>& shape) const;

  std::string where_;
  ModuleCard card_;
  std::unique_ptr<ModuleProgram> program_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_MODULE_NETWORK_H_
