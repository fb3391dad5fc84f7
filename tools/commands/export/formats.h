// The formats that a student is exported to. Each function writes a file at `path`, not published, reads it back, and
// returns what the file as read computes. Throws Error: the file cannot be written, or the format cannot hold the
// student.
#ifndef VITRINE_TOOLS_COMMANDS_EXPORT_FORMATS_H_
#define VITRINE_TOOLS_COMMANDS_EXPORT_FORMATS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <functional>

#include "tools/commands/export/description.h"
#include "train/run/stored_student.h"

namespace vitrine {

/// Of the graph in an ONNX or TorchScript file.
struct GraphOptions {
  GraphInput input = GraphInput::kFloat;
  int opset = 17;             ///< of ONNX, kMinOpset to kMaxOpset (onnx/model.h)
  std::int64_t batch = 0;     ///< of ONNX: pictures at a time; 0: any number
  bool dynamic_size = false;  ///< of ONNX: any height and width; else the student's size
};

/// From pictures, uint8 [N, H, W, 3] on the CPU, to logits, FP32 [N, classes].
using Forward = std::function<at::Tensor(const at::Tensor& pictures)>;

/// The weights under torchvision's names, which for ResNets are timm's too (a ViT has timm's), and the description as
/// metadata.
Forward write_safetensors(const StoredStudent& student, const std::filesystem::path& path);

/// The same tensors as torch.save(model.state_dict()) writes them, which torch.load(weights_only=True) reads. The
/// dictionary holds tensors only, so that load_state_dict() takes it whole; the description is the archive's entry
/// kRecordEntry, which torch.load ignores.
Forward write_pth(const StoredStudent& student, const std::filesystem::path& path);

/// A TorchScript module with torchvision's names and structure, which needs no Python class. The description is the
/// extra file kRecordEntry. Any batch and size; ResNets only.
Forward write_torchscript(const StoredStudent& student, const GraphOptions& options, const std::filesystem::path& path);

/// An ONNX graph with BatchNorm folded into the convolutions, in FP64; "input" to "logits". The description is in
/// metadata_props. ResNets only.
Forward write_onnx(const StoredStudent& student, const GraphOptions& options, const std::filesystem::path& path);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_EXPORT_FORMATS_H_
