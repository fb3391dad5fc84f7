// A teacher exported from PyTorch, for architectures that Vitrine does not build itself (Swin, ConvNeXt, hybrids):
// tools/scripts/export_teacher.py makes the file. Running it runs the code in it.
#ifndef VITRINE_COMMON_TEACHER_MODULE_NETWORK_H_
#define VITRINE_COMMON_TEACHER_MODULE_NETWORK_H_

#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/teacher/network.h"

namespace vitrine {

/// What an exported module says of itself, in the extra file "vitrine.json" of its archive.
///
///  {"version": 1, "name", "precision", "device", "micro_batch", "image_size", "classes", "embedding",
///   "blocks": [{"features": [C, H, W] or null, "attention": [heads, H, W] or null}, ...],
///   "outputs": ["logits", "embedding", "features.0", "attention.0", ...],
///   "mean", "std", "crop_pct", "interpolation", "license"}
///
/// and perhaps "crop_mode" and "class_names", which older ones lack.
struct ModuleCard {
  std::string name;
  std::string precision;          ///< arithmetic that is part of the exported code
  std::string device;             ///< "cpu" or "cuda": the kind it was exported for
  std::uint32_t micro_batch = 0;  ///< views per forward; part of the exported code
  NetworkShape shape;
  std::vector<std::string> outputs;  ///< in the order in which the module returns them
  std::vector<double> mean, stddev;
  double crop_pct = 1;
  std::string crop_mode;  ///< timm's word; empty: not said
  std::string interpolation, license;
  std::vector<std::string> class_names;  ///< one per class, or none

  /// Throws Error (kCorrupt, kNewer), beginning with `where`.
  static ModuleCard parse(const std::string& json, const std::string& where);
};

/// The loaded archive; hides torch/script.h.
class ModuleProgram;

class ModuleNetwork : public TeacherNetwork {
 public:
  /// Loads a TorchScript archive. Throws Error for another file, one that lacks the card, and one that was exported for
  /// another kind of device. **Executes code from the file**: the caller must have the user's consent.
  ModuleNetwork(const std::filesystem::path& file, c10::Device device);
  ~ModuleNetwork() override;

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
