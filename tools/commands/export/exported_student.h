// A student as an exported graph, without its weights.
#ifndef VITRINE_TOOLS_COMMANDS_EXPORT_EXPORTED_STUDENT_H_
#define VITRINE_TOOLS_COMMANDS_EXPORT_EXPORTED_STUDENT_H_

#include <filesystem>

#include "tools/commands/export/formats.h"
#include "train/student/weights_record.h"

namespace vitrine {

struct ExportedStudent {
  std::filesystem::path file;
  WeightsRecord record;
  Forward forward;  ///< computes the graph with ATen on the CPU, in FP32; thread-safe
};

/// Whether the file begins as an ONNX model does. False for a directory, and for what does not exist.
bool is_onnx_file(const std::filesystem::path& file);

/// Reads an ONNX file of vitrine-export. Throws Error: kInput for a file without a student's record, or in 8 bits;
/// kCorrupt for another graph than vitrine-export writes. `forward` throws kCorrupt for a graph that is not whole.
ExportedStudent read_exported(const std::filesystem::path& file);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_EXPORT_EXPORTED_STUDENT_H_
