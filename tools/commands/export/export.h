// vitrine-export: a student to the files that other programs read.
#ifndef VITRINE_TOOLS_COMMANDS_EXPORT_EXPORT_H_
#define VITRINE_TOOLS_COMMANDS_EXPORT_EXPORT_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/commands/export/agreement.h"
#include "tools/commands/export/formats.h"
#include "train/run/stored_student.h"

namespace vitrine {

enum class ExportFormat : std::uint8_t { kSafetensors, kPth, kOnnx, kTorchscript };

/// Who reads the tensors of kSafetensors and kPth. Their names are the same for both; kTimm writes them into a folder
/// in timm's layout: model.safetensors (the hub's), pytorch_model.bin (that create_model("local-dir:FOLDER") reads) and
/// config.json.
enum class TensorNaming : std::uint8_t { kTorchvision, kTimm };

struct ExportRequest {
  std::string model;  ///< a run's directory or a file (read_student)
  WeightsChoice weights = WeightsChoice::kAuto;
  std::vector<ExportFormat> formats;  ///< at least one
  /// The file of the one format, or an existing directory for files of the default names; with kTimm the directory of
  /// the folder student-timm, which is made; empty: RUN/exported, or the directory of the file.
  std::string out;
  TensorNaming names = TensorNaming::kTorchvision;
  GraphOptions graph;
  bool dry_run = false;  ///< only checks; the files of the result are those that would be written, without bytes
};

struct ExportedFile {
  ExportFormat format;
  std::filesystem::path path;  ///< the weights
  std::uint64_t bytes = 0;
  AgreementResult agreement;
  std::filesystem::path card = {};  ///< timm's config.json, which is written too; empty: none
};

/// Writes each format in turn, runs it against the student on random pictures, and publishes it if they agree. An
/// existing file is replaced, except the one that the student was read from; timm's folder may not hold weights of an
/// earlier export in a format that is not asked for. Throws Error; earlier formats stay.
std::vector<ExportedFile> export_student(const ExportRequest& request);

/// "onnx", "safetensors".
const char* name_of(ExportFormat format);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_EXPORT_EXPORT_H_
