// Modules of torch.jit.save.
#include <torch/script.h>

#include <utility>

#include "common/teacher/module_program.h"

namespace vitrine {
namespace {

class TorchScriptProgram : public ModuleProgram {
 public:
  TorchScriptProgram(const std::string& file, std::vector<std::string> outputs, c10::Device device)
      : outputs_(std::move(outputs)) {
    with_torch_errors(loading_module(file), [&] { module_ = torch::jit::load(file, device); });
    module_.eval();
  }

  std::vector<at::Tensor> run(const at::Tensor& x) override {
    // The optimisations of the profiling executor after the first calls would change the rounding.
    const torch::jit::GraphOptimizerEnabledGuard no_optimiser(false);
    const c10::IValue returned = module_.forward({x});
    if (!returned.isGenericDict()) fail("the module returns no dictionary of tensors; ", kExportAgain);
    const auto dictionary = returned.toGenericDict();
    std::vector<at::Tensor> out;
    for (const std::string& name : outputs_) {
      const auto found = dictionary.find(name);
      if (found == dictionary.end() || !found->value().isTensor())
        fail("the module returns no tensor \"", name, "\", which its card names; ", kExportAgain);
      out.push_back(found->value().toTensor());
    }
    return out;
  }

 private:
  torch::jit::Module module_;
  std::vector<std::string> outputs_;
};

}  // namespace

std::unique_ptr<ModuleProgram> load_torchscript(const std::string& file, const ModuleCard& card, c10::Device device) {
  return std::make_unique<TorchScriptProgram>(file, card.outputs, device);
}

}  // namespace vitrine
