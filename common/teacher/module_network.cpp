#include "common/teacher/module_network.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/models/autocast.h"
#include "common/models/processor.h"

namespace vitrine {
namespace {

constexpr double kTapEps = 1e-6;

/// Foreign machine code would crash, and a foreign device's fail with LibTorch's words.
void check_suits(const ModuleCard& card, c10::Device device, const std::string& where) {
  const std::string kind = device.is_cpu() ? "cpu" : "cuda";
  if (card.device != kind)
    throw Error(ErrorKind::kInput,
                {.path = where,
                 .what = text("was exported for ", card.device, ", but teacher.device is ", kind),
                 .remedy = text("set teacher.device = \"", card.device, "\", or export it with --device ", kind)});
  if (!card.compiled_for) return;
  if (const std::string unmet = unmet_needs(*card.compiled_for, this_processor()); !unmet.empty())
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = text("was compiled for ", unmet),
                                    .remedy = text(kExportAgain, " on this machine, or with --format torchscript")});
}

std::unique_ptr<ModuleProgram> load_module(ModuleFormat format, const std::string& file, const ModuleCard& card,
                                           c10::Device device) {
  return format == ModuleFormat::kPackage ? load_package(file, card, device) : load_torchscript(file, card, device);
}

}  // namespace

ModuleNetwork::ModuleNetwork(const std::filesystem::path& file, c10::Device device) : where_(file.string()) {
  ModuleFile module = ModuleFile::read(file);
  card_ = std::move(module.card);
  check_suits(card_, device, where_);
  program_ = load_module(module.format, where_, card_, device);
}

ArchitectureRecord ModuleNetwork::record() const {
  const nlohmann::json settings{
      {"classes", card_.shape.classes}, {"depth", card_.shape.depth()}, {"image_size", card_.shape.image_size}};
  return {"module", settings.dump()};
}

double ModuleNetwork::forward_bytes(std::uint32_t views) const {
  double largest = 3.0 * card_.shape.image_size * card_.shape.image_size;
  for (const BlockShape& block : card_.shape.blocks)
    largest = std::max(largest, 1.0 * block.channels * block.height * block.width);
  constexpr double kWidths = 12;  // as in a ViT's block: queries, keys, values, the MLP's hidden layer twice
  return 4.0 * views * kWidths * largest;
}

at::Tensor ModuleNetwork::take(const std::vector<at::Tensor>& outputs, const std::string& name,
                               const std::vector<std::int64_t>& shape) const {
  const auto found = std::ranges::find(card_.outputs, name);
  if (found == card_.outputs.end()) fail(where_, ": the module has no output ", name);
  const at::Tensor& value = outputs.at(static_cast<std::size_t>(found - card_.outputs.begin()));
  std::vector<std::int64_t> expected{card_.micro_batch};
  expected.insert(expected.end(), shape.begin(), shape.end());
  if (value.sizes() != at::IntArrayRef(expected))
    throw Error(ErrorKind::kInput, {.path = where_,
                                    .what = text("output ", name, " has shape ", value.sizes(), ", but its card says ",
                                                 at::IntArrayRef(expected)),
                                    .remedy = kExportAgain});
  return value.to(at::kFloat).contiguous();
}

TeacherOutputs ModuleNetwork::forward(const at::Tensor& x, const TeacherTaps& taps) const {
  if (x.size(0) != card_.micro_batch)
    throw std::logic_error("ModuleNetwork::forward: another number of views than the module was exported for");
  const Autocast off(x.device(), at::kFloat);  // casts are part of the exported code, which has its head in FP32
  const std::vector<at::Tensor> outputs = program_->run(x.contiguous());
  TeacherOutputs out;
  if (card_.shape.classes > 0) out.logits = take(outputs, "logits", {card_.shape.classes});
  if (card_.shape.embedding > 0) out.embedding = take(outputs, "embedding", {card_.shape.embedding});
  for (const std::int64_t block : taps.features) {
    const BlockShape& shape = card_.shape.blocks.at(static_cast<std::size_t>(block));
    at::Tensor map = take(outputs, text("features.", block), {shape.channels, shape.height, shape.width});
    if (taps.normalise)
      map = at::layer_norm(map.permute({0, 2, 3, 1}).contiguous(), {shape.channels}, {}, {}, kTapEps)
                .permute({0, 3, 1, 2})
                .contiguous();
    out.features.push_back(map);
  }
  for (const std::int64_t block : taps.attentions) {
    const BlockShape& shape = card_.shape.blocks.at(static_cast<std::size_t>(block));
    out.attentions.push_back(
        take(outputs, text("attention.", block), {shape.heads, shape.attention_height, shape.attention_width}));
  }
  return out;
}

}  // namespace vitrine
