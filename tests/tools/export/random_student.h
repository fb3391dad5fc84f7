// Students with random weights, as files.
#ifndef VITRINE_TESTS_TOOLS_EXPORT_RANDOM_STUDENT_H_
#define VITRINE_TESTS_TOOLS_EXPORT_RANDOM_STUDENT_H_

#include <ATen/ATen.h>

#include <filesystem>
#include <string>
#include <utility>

#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "tests/support/testing.h"
#include "train/run/stored_student.h"

namespace vitrine::testing {

/// Of a slim ResNet for three classes at 32 pixels.
inline WeightsRecord resnet_record(const std::string& arch = "resnet18") {
  WeightsRecord out;
  out.model.kind = "resnet";
  out.model.arch = arch;
  out.model.width = 8;
  out.size = 32;
  out.mean = {0.485, 0.456, 0.406};
  out.stddev = {0.229, 0.224, 0.225};
  out.crop_pct = 0.9;
  out.precision = "fp32";
  out.classes = {"ant", "bee", "cat"};
  out.class_count = 3;
  out.step = 12;
  return out;
}

inline WeightsRecord vit_record() {
  WeightsRecord out = resnet_record();
  out.model.kind = "vit";
  VitOptions& vit = out.model.vit;
  vit.arch = "", vit.image_size = 32, vit.patch = 8, vit.dim = 16, vit.depth = 2, vit.heads = 2;
  return out;
}

/// Random weights; BatchNorm's statistics and parameters differ from their defaults, and the logits between pictures.
inline Tensors random_weights(const WeightsRecord& record, std::uint64_t seed = 5) {
  at::manual_seed(seed);
  const at::NoGradGuard no_grad;
  Network network(record.model, static_cast<int>(record.class_count), at::kCPU);
  Tensors out;
  for (const auto& [name, tensor] : state_dict(network.module())) {
    at::Tensor own = tensor.clone();
    if (name.find("running_mean") != std::string::npos) own.normal_(0, 0.1);
    if (name.find("running_var") != std::string::npos) own.uniform_(0.5, 1.5);
    if (name.find("bn") != std::string::npos && name.ends_with("bias")) own.normal_(0, 0.1);
    if (name.find("num_batches_tracked") != std::string::npos) own.fill_(12);
    out.emplace(name, own.contiguous());
  }
  return out;
}

/// Writes them to `path` with the record; returns them.
inline Tensors save_student(const std::filesystem::path& path, const WeightsRecord& record, std::uint64_t seed = 5) {
  Tensors weights = random_weights(record, seed);
  save_safetensors(path, weights, record.metadata());
  return weights;
}

inline bool same(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a)
    if (!b.contains(name) || !at::equal(tensor, b.at(name))) return false;
  return true;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_TOOLS_EXPORT_RANDOM_STUDENT_H_
