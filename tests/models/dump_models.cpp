// What our models compute, as safetensors, for the Python peers to compare with.
// clang-format off
//   peer_values models vit IMAGE PATCH DIM DEPTH HEADS CLASSES WEIGHTS INPUT OUT     input: x; taps of all blocks
//   peer_values models families REQUESTS WEIGHTS INPUT OUT                           see dump_families()
//   peer_values models structures SHAPES OUT                                         see dump_structures()
//   peer_values models resnet ARCH CLASSES WEIGHTS INPUT OUT                         input: x, y; evaluation, then five
//                                                                                    steps of SGD
//   peer_values models copy IN OUT                                                   reads a file and writes it again
// clang-format on
#include <torch/nn/functional/loss.h>
#include <torch/optim/sgd.h>
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/models/resnet.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/models/vit/read_structure.h"
#include "common/models/vit/resample.h"
#include "tests/support/peer_values.h"

namespace vitrine::testing {
namespace {

void dump_vit(const Arguments& a) {
  VitOptions options;
  options.arch = "";
  int* const dimensions[] = {&options.image_size, &options.patch, &options.dim,
                             &options.depth,      &options.heads, &options.classes};
  for (std::size_t i = 0; i < std::size(dimensions); ++i) *dimensions[i] = std::stoi(a.at(i + 1));
  Vit model(options);
  model->eval();
  load_weights(*model, load_safetensors(a.at(7)), a.at(7));
  const at::NoGradGuard no_grad;
  const at::Tensor x = load_safetensors(a.at(8)).at("x");
  Tensors out;
  VitTaps taps;
  for (int block = model->depth() - 1; block >= 0; --block) taps.features.push_back(block);
  for (int block = 0; block < model->depth(); ++block) taps.attentions.push_back(block);
  const VitOutputs outputs = model->forward(x, taps);
  out["logits"] = outputs.logits;
  for (std::size_t i = 0; i < taps.features.size(); ++i) {
    out["features." + std::to_string(taps.features[i])] = outputs.features[i];
    out["attention." + std::to_string(taps.attentions[i])] = outputs.attentions[i];
  }
  out["raw.0"] = model->forward(x, {{0}, {}, false}).features[0];
  save_safetensors(a.at(9), out);
}

using Json = nlohmann::ordered_json;

VitHints hints_of(const Json& json) {
  VitHints out;
  out.arch = json.value("arch", "");
  out.image_size = json.value("image_size", 0);
  out.patch = json.value("patch", 0);
  out.heads = json.value("heads", 0);
  out.activation = json.value("activation", "");
  out.pooling = json.value("pooling", "");
  out.naming = json.value("naming", "");
  out.dim = json.value("dim", 0);
  out.depth = json.value("depth", 0);
  return out;
}

/// Those behind `prefix`, without it.
Tensors behind(const std::string& prefix, const Tensors& tensors) {
  Tensors out;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(prefix)) out.emplace(name.substr(prefix.size()), tensor);
  return out;
}

void put_outputs(const std::string& prefix, const VitOutputs& outputs, const VitTaps& taps, Tensors& out) {
  if (outputs.logits.defined()) out[prefix + "logits"] = outputs.logits;
  out[prefix + "pooled"] = outputs.pooled;
  for (std::size_t i = 0; i < taps.features.size(); ++i) {
    out[prefix + "features." + std::to_string(taps.features[i])] = outputs.features[i];
    out[prefix + "attention." + std::to_string(taps.attentions[i])] = outputs.attentions[i];
  }
}

/// REQUESTS: [{"name", "weights", "hints", "structure"}]: the outputs of the ViT of the weights "WEIGHTS/..." on the
/// input "NAME", as "NAME/...", and as "NAME/frozen..." when it is frozen in FP32. Fields in "structure" replace those
/// that the weights and hints give.
void dump_families(const Arguments& a) {
  const Json requests = parse_json<Json>(read_file(a.at(1)));
  const Tensors weights = load_safetensors(a.at(2)), inputs = load_safetensors(a.at(3));
  const at::NoGradGuard no_grad;
  Tensors out;
  for (const Json& request : requests) {
    const std::string name = request.at("name");
    const Tensors own = behind(request.at("weights").get<std::string>() + "/", weights);
    Json structure = to_json(structure_of(own, hints_of(request.at("hints")), name).structure);
    structure.update(request.at("structure"));
    Vit model(vit_structure_from_json(structure, name), VitWeights::kUninitialised);
    load_weights(*model, resampled(own, model->structure()), name);
    model->eval();
    VitTaps taps;
    for (int block = 0; block < model->depth(); ++block) taps.features.push_back(block);
    taps.attentions = taps.features;
    const VitTaps rollouts{{}, taps.attentions, true, /*rollout=*/true};
    for (const std::string& prefix : {name + "/", name + "/frozen."}) {
      if (prefix.ends_with("frozen.")) model->freeze(at::kFloat);
      put_outputs(prefix, model->forward(inputs.at(name), taps), taps, out);
      const VitOutputs rolled = model->forward(inputs.at(name), rollouts);
      for (std::size_t i = 0; i < rollouts.attentions.size(); ++i)
        out[prefix + "rollout." + std::to_string(rollouts.attentions[i])] = rolled.attentions[i];
    }
  }
  save_safetensors(a.at(4), out);
}

/// SHAPES: {NAME: {"hints", "shapes": {tensor: shape}}}. OUT: {NAME: {"structure", "assumed", "notes"} or {"error"}}.
void dump_structures(const Arguments& a) {
  Json out;
  const Json files = parse_json<Json>(read_file(a.at(1)));
  for (const auto& [name, file] : files.items()) {
    Tensors weights;
    for (const auto& [tensor, shape] : file.at("shapes").items())
      weights[tensor] = at::empty(shape.get<std::vector<std::int64_t>>(), at::device(at::kMeta));
    try {
      const VitReading reading = structure_of(weights, hints_of(file.at("hints")), name);
      out[name] = {{"structure", to_json(reading.structure)}, {"assumed", reading.assumed}, {"notes", reading.notes}};
    } catch (const Error& error) {
      out[name] = {{"error", error.what()}};
    }
  }
  publish(a.at(2), out.dump());
}

void dump_resnet(const Arguments& a) {
  ResNet model(a.at(1), std::stoi(a.at(2)));
  load_weights(*model, load_safetensors(a.at(3)), a.at(3));
  const Tensors input = load_safetensors(a.at(4));
  Tensors out;
  {
    const at::NoGradGuard no_grad;
    model->eval();
    const auto outputs = model->forward(input.at("x"));
    out["eval.logits"] = outputs.logits;
    for (std::size_t i = 0; i < outputs.stages.size(); ++i)
      out["eval.layer" + std::to_string(i + 1)] = outputs.stages[i];
  }
  model->train();
  torch::optim::SGD optimizer(model->parameters(), torch::optim::SGDOptions(0.02).momentum(0.9).weight_decay(1e-3));
  for (int step = 0; step < 5; ++step) {
    optimizer.zero_grad();
    const at::Tensor logits = model->forward(input.at("x")).logits;
    torch::nn::functional::cross_entropy(logits, input.at("y")).backward();
    optimizer.step();
    out["train.logits." + std::to_string(step)] = logits;
  }
  for (const auto& [name, tensor] : state_dict(*model)) out["state." + name] = tensor;
  save_safetensors(a.at(5), out);
}

}  // namespace

void dump_models(const Arguments& a) {
  if (!a.empty() && a[0] == "vit" && a.size() == 10)
    dump_vit(a);
  else if (!a.empty() && a[0] == "families" && a.size() == 5)
    dump_families(a);
  else if (!a.empty() && a[0] == "structures" && a.size() == 3)
    dump_structures(a);
  else if (!a.empty() && a[0] == "resnet" && a.size() == 6)
    dump_resnet(a);
  else if (!a.empty() && a[0] == "copy" && a.size() == 3)
    save_safetensors(a[2], load_safetensors(a[1]), load_safetensors_metadata(a[1]));
  else
    fail("models takes vit, families, structures, resnet or copy and what their lines in dump_models.cpp say.");
}

}  // namespace vitrine::testing
