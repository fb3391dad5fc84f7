// The ONNX format.
#include <ATen/ATen.h>

#include <memory>

#include "common/kernels/normalise.h"
#include "tools/commands/export/fold.h"
#include "tools/commands/export/formats.h"

namespace vitrine {

Forward write_onnx(const StoredStudent& student, const GraphOptions& options, const std::filesystem::path& path) {
  write_onnx(folded_model(student, options), path);
  const auto model = std::make_shared<const OnnxModel>(read_onnx(path));
  const auto mean = rgb_triplet(student.record.mean, "mean"), stddev = rgb_triplet(student.record.stddev, "std");
  return [model, mean, stddev, input = options.input](const at::Tensor& pictures) {
    return evaluate(*model, input == GraphInput::kUint8 ? pictures : normalise_pictures(pictures, mean, stddev));
  };
}

}  // namespace vitrine
