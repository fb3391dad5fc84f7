#include "common/teacher/vit_network.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace vitrine {

VitNetwork::VitNetwork(Vit vit, at::ScalarType type) : vit_(std::move(vit)) {
  vit_->eval();
  for (at::Tensor& parameter : vit_->parameters()) parameter.requires_grad_(false);
  const at::Device device = vit_->parameters().front().device();
  if (type != at::kFloat || device.is_cpu()) vit_->freeze(fastest_product_type(type, device));
  const VitStructure& structure = vit_->structure();
  const auto size = [](int value) { return static_cast<std::uint32_t>(value); };
  shape_.image_size = size(structure.image_size);
  shape_.classes = size(structure.classes);
  shape_.embedding = size(structure.dim);
  const std::uint32_t grid = size(structure.grid());
  shape_.blocks.assign(static_cast<std::size_t>(structure.depth),
                       {size(structure.dim), grid, grid, size(structure.heads), grid, grid});
}

ArchitectureRecord VitNetwork::record() const {
  nlohmann::json settings = to_json(vit_->structure());
  const nlohmann::json defaults = to_json(VitStructure());
  for (const auto& [key, value] : defaults.items())
    if (settings.at(key) == value) settings.erase(key);
  return {"vit", settings.dump()};
}

// The largest values that live at once in a block: its input, queries, keys and values, the hidden layer of the MLP
// before and after its activation; and a matrix of attention, where the kernel makes one.
double VitNetwork::forward_bytes(std::uint32_t views) const {
  const VitStructure& structure = vit_->structure();
  const double tokens = structure.tokens(), side = structure.image_size;
  const double width = 4.0 * structure.dim + 2.0 * structure.mlp_hidden;
  return 4.0 * views * (tokens * width + tokens * tokens * structure.heads + 3 * side * side);
}

TeacherOutputs VitNetwork::forward(const at::Tensor& x, const TeacherTaps& taps) const {
  VitOutputs out = vit_->forward(x, {taps.features, taps.attentions, taps.normalise, taps.rollout});
  return {std::move(out.logits), std::move(out.pooled), std::move(out.features), std::move(out.attentions)};
}

}  // namespace vitrine
