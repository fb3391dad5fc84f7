#include "tools/commands/bench/inference/subject.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "common/teacher/open_teacher.h"
#include "tools/commands/export/onnx/model.h"

namespace vitrine::bench {
namespace {

Subject vit_subject(const std::string& name, const VitStructure& structure) {
  Subject out{.name = name, .size = static_cast<std::uint32_t>(structure.image_size), .vit = structure};
  const Vit network(structure, VitWeights::kUninitialised);
  for (const at::Tensor& parameter : network->parameters())
    out.cost.parameters += static_cast<std::uint64_t>(parameter.numel());
  out.cost.multiply_adds = multiply_adds_of(structure);
  return out;
}

Subject resnet_subject(const std::string& name, StoredStudent student) {
  Subject out{.name = name, .size = student.record.size};
  Network network = network_of(student, at::kCPU);
  out.cost = cost_of(*network.resnet(), student.record.size, student.record.size);
  out.resnet = std::move(student);
  return out;
}

}  // namespace

bool Subject::same_network(const Subject& other) const {
  if (size != other.size || resnet.has_value() != other.resnet.has_value()) return false;
  return resnet ? same_network(other.resnet->record) : vit == other.vit;
}

bool Subject::same_network(const WeightsRecord& record) const {
  if (!resnet || record.model.kind != "resnet" || record.size != size) return false;
  const WeightsRecord& own = resnet->record;
  return own.model.arch == record.model.arch && own.model.width == record.model.width &&
         own.class_count == record.class_count;
}

bool is_of(const std::filesystem::path& onnx, const Subject& subject) {
  const std::optional<WeightsRecord> record = WeightsRecord::parse(onnx_metadata(onnx), onnx.string());
  if (!record)
    throw Error(ErrorKind::kInput, {.path = onnx.string(),
                                    .what = "does not record which model it is of",
                                    .remedy = "give a file that vitrine-export or tools/scripts/quantise.py wrote"});
  return subject.same_network(*record);
}

Subject random_resnet(const std::string& arch, const SubjectSizes& sizes) {
  StoredStudent student;
  WeightsRecord& record = student.record;
  record.model.kind = "resnet", record.model.arch = arch, record.model.width = sizes.width;
  record.size = sizes.size, record.class_count = sizes.classes;
  record.mean = {0.485, 0.456, 0.406}, record.stddev = {0.229, 0.224, 0.225};
  record.crop_pct = 0.9, record.precision = "fp32";
  student.file = arch + ", random";  // for messages
  at::manual_seed(1);
  Network network(record.model, static_cast<int>(sizes.classes), at::kCPU);
  for (const auto& [name, tensor] : state_dict(network.module())) student.weights.emplace(name, tensor.contiguous());
  return resnet_subject(sizes.width == 64 ? arch : text(arch, ", width ", sizes.width), std::move(student));
}

Subject student_subject(const std::string& model, const SubjectSizes& sizes) {
  if (!path_exists(model)) {
    if (model.starts_with("resnet")) return random_resnet(model, sizes);
    if (model.starts_with("vit")) return teacher_subject(model, sizes);
    throw Error(ErrorKind::kInput, {.path = model.empty() ? "\"\"" : model,
                                    .what = "is neither an architecture nor a run or a file",
                                    .remedy = "give resnet50 or the like, a run's directory or its weights"});
  }
  StoredStudent student = read_student(model);
  if (student.record.model.kind == "vit") {
    VitOptions options = student.record.model.vit;
    options.classes = static_cast<int>(student.record.class_count);
    return vit_subject(model, structure_of(options));
  }
  const std::string arch = student.record.model.arch;
  return resnet_subject(text(model, " (", arch, ")"), std::move(student));
}

Subject teacher_subject(const std::string& teacher, const SubjectSizes& sizes) {
  if (!path_exists(teacher))
    return vit_subject(teacher, structure_of({.arch = teacher, .classes = static_cast<int>(sizes.classes)}));
  TeacherOptions options;
  options.weights = teacher;
  const ArchitectureRecord record = open_teacher(options, at::kCPU).network->record();
  const auto settings = parse_json<nlohmann::ordered_json>(record.settings);
  return vit_subject(teacher, vit_structure_from_json(settings, teacher));
}

}  // namespace vitrine::bench
