// The ONNX format.
#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/kernels/normalise.h"
#include "common/models/weights/file_format.h"
#include "tools/commands/export/exported_student.h"
#include "tools/commands/export/fold.h"
#include "tools/commands/export/formats.h"

namespace vitrine {
namespace {

Forward forward_of_graph(const std::filesystem::path& path, const WeightsRecord& record) {
  const auto model = std::make_shared<const OnnxModel>(read_onnx(path));
  const auto mean = rgb_triplet(record.mean, "mean"), stddev = rgb_triplet(record.stddev, "std");
  return [model, mean, stddev](const at::Tensor& pictures) {
    return evaluate(*model,
                    model->input.type == OnnxType::kUint8 ? pictures : normalise_pictures(pictures, mean, stddev));
  };
}

[[noreturn]] void refuse_exported(const std::filesystem::path& file, const std::string& what,
                                  const std::string& remedy) {
  throw Error(ErrorKind::kInput, {.path = file.string(), .what = what, .remedy = remedy});
}

}  // namespace

Forward write_onnx(const StoredStudent& student, const GraphOptions& options, const std::filesystem::path& path) {
  write_onnx(folded_model(student, options), path);
  return forward_of_graph(path, student.record);
}

bool is_onnx_file(const std::filesystem::path& file) {
  return file_exists(file) && foreign_format(MappedFile(file).bytes()).what == kOnnxWords;
}

ExportedStudent read_exported(const std::filesystem::path& file) {
  const std::map<std::string, std::string> metadata = onnx_metadata(file);
  const std::optional<WeightsRecord> record = WeightsRecord::parse(metadata, file.string());
  if (!record)
    refuse_exported(file, "is an ONNX model that does not record which student it is",
                    "give one that vitrine-export wrote, or the weights");
  if (metadata.contains("vitrine.quantisation"))
    refuse_exported(file, "is in 8 bits, which ONNX Runtime and OpenVINO compute",
                    "give the student, or its FP32 export");
  return {file, *record, forward_of_graph(file, *record)};
}

}  // namespace vitrine
