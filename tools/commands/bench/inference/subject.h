// The networks that `vitrine bench inference` measures.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_SUBJECT_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_SUBJECT_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/models/inference/cost.h"
#include "common/models/vit/structure.h"
#include "train/run/stored_student.h"

namespace vitrine::bench {

/// Of networks that are named by their architecture.
struct SubjectSizes {
  std::uint32_t size = 224;  ///< side of the square input, in pixels
  std::uint32_t classes = 1000;
  std::uint32_t width = 64;  ///< of ResNets (ModelOptions::width)
};

struct Subject {
  std::string name;        ///< for people: "resnet50", "runs/a, runs/b (resnet50)"
  std::uint32_t size = 0;  ///< side of its input, in pixels
  NetworkCost cost;
  /// One of them: a ResNet with its weights, or a ViT, which has random ones: its cost does not depend on them.
  std::optional<StoredStudent> resnet;
  std::optional<VitStructure> vit;

  /// Whether both are the same network but for their weights.
  bool same_network(const Subject& other) const;
  bool same_network(const WeightsRecord& record) const;
};

/// Whether the record in an ONNX file (onnx_metadata) is of this network, whatever its weights. Throws Error if the
/// file cannot be read, or has no record.
bool is_of(const std::filesystem::path& onnx, const Subject& subject);

/// A ResNet with random weights. Throws Error for an unknown architecture.
Subject random_resnet(const std::string& arch, const SubjectSizes& sizes);
/// `model`: an architecture (resnet18, vit_base_patch16_224), a run's directory, or a file of weights that Vitrine
/// wrote. Throws Error, as read_student() does.
Subject student_subject(const std::string& model, const SubjectSizes& sizes);
/// `teacher`: an architecture, or weights as the key teacher.weights takes them.
Subject teacher_subject(const std::string& teacher, const SubjectSizes& sizes);

}  // namespace vitrine::bench

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_SUBJECT_H_
