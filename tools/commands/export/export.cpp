#include "tools/commands/export/export.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/models/torch_errors.h"
#include "tools/commands/export/timm_folder.h"
#include "train/run_files/run_files.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTimmFolder = "student-timm";

// Of a file in a folder for timm, by which timm finds it; null for formats that have none there.
const char* timm_name(ExportFormat format) {
  return format == ExportFormat::kSafetensors ? "model.safetensors"
         : format == ExportFormat::kPth       ? "pytorch_model.bin"
                                              : nullptr;
}

const char* plain_name(ExportFormat format) {
  switch (format) {
    case ExportFormat::kSafetensors:
      return "student.safetensors";
    case ExportFormat::kPth:
      return "student.pth";
    case ExportFormat::kOnnx:
      return "student.onnx";
    case ExportFormat::kTorchscript:
      return "student.torchscript.pt";
  }
  throw std::logic_error("plain_name");
}

bool has_graph(ExportFormat format) {
  return format == ExportFormat::kOnnx || format == ExportFormat::kTorchscript;
}

bool timm_only(const ExportRequest& request) {
  return request.names == TensorNaming::kTimm &&
         std::ranges::all_of(request.formats, [](ExportFormat format) { return timm_name(format) != nullptr; });
}

// Where the files go.
class Destination {
 public:
  Destination(const ExportRequest& request, const StoredStudent& student) : request_(request) {
    if (!request.out.empty() && (directory_exists(request.out) || timm_only(request)))
      folder_ = request.out;
    else if (request.out.empty())
      folder_ = directory_exists(request.model) ? RunFiles(request.model).exported() : student.file.parent_path();
    else if (request.formats.size() > 1)
      fail(request.out, ": -o names one file, but ", request.formats.size(),
           " formats are asked for; give an existing directory, or one --format");
  }

  fs::path of(ExportFormat format) const {
    const char* timm = request_.names == TensorNaming::kTimm ? timm_name(format) : nullptr;
    if (!folder_) return request_.out;
    return timm != nullptr ? *folder_ / kTimmFolder / timm : *folder_ / plain_name(format);
  }

  // timm's config.json beside the file; empty for a format that needs none.
  fs::path card_of(ExportFormat format) const {
    const bool timm = request_.names == TensorNaming::kTimm && timm_name(format) != nullptr;
    return timm ? of(format).parent_path() / "config.json" : fs::path();
  }

 private:
  const ExportRequest& request_;
  std::optional<fs::path> folder_;
};

// A folder for timm holds one student: which file it opens depends on its version.
void refuse_other_export(const ExportRequest& request, const Destination& destination) {
  constexpr std::array kInFolder{ExportFormat::kSafetensors, ExportFormat::kPth};
  const auto asked = [&](ExportFormat format) { return std::ranges::find(request.formats, format); };
  if (std::ranges::none_of(kInFolder, [&](ExportFormat one) { return asked(one) != request.formats.end(); })) return;
  for (const ExportFormat format : kInFolder)
    if (const fs::path other = destination.of(format); asked(format) == request.formats.end() && path_exists(other))
      throw Error(ErrorKind::kInput, {.path = other.string(),
                                      .what = "is of an earlier export, and timm may open it instead",
                                      .remedy = "remove it, or give --format safetensors,pth"});
}

void check(const ExportRequest& request, const StoredStudent& student, const Destination& destination) {
  for (const ExportFormat format : request.formats) {
    const std::string file = student.file.string();
    if (student.record.model.kind != "resnet" && has_graph(format))
      fail(file, ": is a ViT, whose graph is not exported; take --format safetensors or pth, and timm for the rest");
    const fs::path out = destination.of(format);
    if (path_exists(out) && same_file(out, student.file))
      fail(out.string(), ": is the file to export; name another with -o");
  }
  if (request.names != TensorNaming::kTimm) return;
  refuse_other_export(request, destination);
  timm_card(student);  // throws if there can be none
}

Forward write(const StoredStudent& student, ExportFormat format, const GraphOptions& options, const fs::path& path) {
  switch (format) {
    case ExportFormat::kSafetensors:
      return write_safetensors(student, path);
    case ExportFormat::kPth:
      return write_pth(student, path);
    case ExportFormat::kOnnx:
      return write_onnx(student, options, path);
    case ExportFormat::kTorchscript:
      return write_torchscript(student, options, path);
  }
  throw std::logic_error("write");
}

// Shapes that the file takes.
std::vector<PictureBatch> shapes_for(const StoredStudent& student, ExportFormat format, const GraphOptions& options) {
  const std::int64_t size = student.record.size;
  if (format == ExportFormat::kOnnx && options.batch > 0) return {{options.batch, size}};
  std::vector<PictureBatch> out{{1, size}, {3, size}};
  if (format == ExportFormat::kOnnx && options.dynamic_size) out.push_back({2, size + 32});
  return out;
}

}  // namespace

const char* name_of(ExportFormat format) {
  switch (format) {
    case ExportFormat::kSafetensors:
      return "safetensors";
    case ExportFormat::kPth:
      return "pth";
    case ExportFormat::kOnnx:
      return "onnx";
    case ExportFormat::kTorchscript:
      return "torchscript";
  }
  throw std::logic_error("name_of");
}

std::vector<ExportedFile> export_student(const ExportRequest& request) {
  const StoredStudent student = read_student(request.model, request.weights);
  const Destination destination(request, student);
  check(request, student, destination);
  if (request.dry_run) {
    std::vector<ExportedFile> would;
    for (const ExportFormat format : request.formats)
      would.push_back({.format = format, .path = destination.of(format), .card = destination.card_of(format)});
    return would;
  }
  Network network = network_of(student, at::kCPU);
  const at::NoGradGuard no_grad;
  std::vector<ExportedFile> out;
  for (const ExportFormat format : request.formats) {
    ExportedFile file{.format = format, .path = destination.of(format), .card = destination.card_of(format)};
    publish(file.path, [&](const fs::path& temporary) {
      with_torch_errors({text("exporting to ", file.path.string()), "free memory", ""}, [&] {
        const Forward exported = write(student, format, request.graph, temporary);
        file.agreement = check_agreement(student, network, exported, shapes_for(student, format, request.graph));
      });
    });
    if (!file.card.empty()) publish(file.card, timm_card(student));
    file.bytes = file_bytes(file.path);
    out.push_back(std::move(file));
  }
  return out;
}

}  // namespace vitrine
