#include "tools/commands/export/fold.h"

#include <ATen/ATen.h>

#include <utility>

#include "common/base/error.h"
#include "common/models/inference/fold.h"
#include "common/models/inference/layers.h"
#include "tools/commands/export/version.h"

namespace vitrine {
namespace {

using Integers = std::vector<std::int64_t>;

// Appends nodes to a model; each call returns the name of its output.
class GraphBuilder {
 public:
  GraphBuilder(const Tensors& tensors, OnnxModel& model) : tensors_(tensors), model_(model) {}

  std::string node(const std::string& op, const std::string& output, std::vector<std::string> inputs,
                   std::map<std::string, OnnxAttribute> attributes = {}) {
    model_.nodes.push_back({op, std::move(inputs), output, std::move(attributes)});
    return output;
  }

  std::string weight(const std::string& name, const at::Tensor& values) {
    const at::Tensor flat = values.to(at::kFloat).contiguous();
    const float* data = flat.const_data_ptr<float>();
    model_.weights.push_back({name, flat.sizes().vec(), {data, data + flat.numel()}});
    return name;
  }
  std::string weight(const std::string& name) { return weight(name, tensors_.at(name)); }

  // A convolution and the BatchNorm after it.
  std::string layer(const std::string& x, const ConvolutionLayer& layer) {
    const FoldedConvolution folded = fold(tensors_, layer);
    const std::string weights = weight(layer.name + ".weight", folded.weight);
    const std::string bias = weight(layer.name + ".bias", folded.bias);
    const std::int64_t padding = layer.padding();
    return node("Conv", layer.name, {x, weights, bias},
                {{"kernel_shape", Integers{layer.kernel, layer.kernel}},
                 {"strides", Integers{layer.stride, layer.stride}},
                 {"pads", Integers(4, padding)},
                 {"dilations", Integers{1, 1}},
                 {"group", std::int64_t{1}}});
  }

  // `number`: of the block in the network.
  std::string block(std::string x, const ResidualBlock& block, std::size_t number) {
    std::string y = x;
    for (std::size_t i = 0; i < block.path.size(); ++i) {
      y = layer(y, block.path[i]);
      if (i + 1 < block.path.size()) y = node("Relu", block.path[i].name + ".relu", {y});
    }
    if (block.shortcut) x = layer(x, *block.shortcut);
    const std::string name = text("block", number);
    return node("Relu", name + ".relu", {node("Add", name + ".add", {y, x})});
  }

 private:
  const Tensors& tensors_;
  OnnxModel& model_;
};

OnnxValue input_of(const WeightsRecord& record, const GraphOptions& options) {
  const auto side = [&](const char* name) {
    return options.dynamic_size ? OnnxDimension(name) : OnnxDimension(std::int64_t{record.size});
  };
  const OnnxDimension batch = options.batch > 0 ? OnnxDimension(options.batch) : OnnxDimension("batch");
  if (options.input == GraphInput::kUint8)
    return {"input", OnnxType::kUint8, {batch, side("height"), side("width"), std::int64_t{3}}};
  return {"input", OnnxType::kFloat, {batch, std::int64_t{3}, side("height"), side("width")}};
}

// (x / 255 - mean) / std of uint8 [N, H, W, 3], as [N, 3, H, W].
std::string normalised(GraphBuilder& graph, const WeightsRecord& record) {
  constexpr std::int64_t kOnnxFloat = 1;  // TensorProto::FLOAT
  const auto colours = [](const std::vector<double>& values) {
    return at::tensor(values, at::kDouble).view({1, 3, 1, 1}) * 255;
  };
  std::string x = graph.node("Transpose", "planes", {"input"}, {{"perm", Integers{0, 3, 1, 2}}});
  x = graph.node("Cast", "values", {x}, {{"to", kOnnxFloat}});
  x = graph.node("Sub", "centred", {x, graph.weight("mean", colours(record.mean))});
  return graph.node("Div", "normalised", {x, graph.weight("std", colours(record.stddev))});
}

}  // namespace

OnnxModel folded_model(const StoredStudent& student, const GraphOptions& options) {
  OnnxModel out;
  out.opset = options.opset;
  out.version = vitrine_version();
  out.metadata = description_of(student, options.input);
  out.metadata.erase("format");  // of safetensors
  out.input = input_of(student.record, options);
  out.output = {
      "logits", OnnxType::kFloat, {out.input.shape[0], static_cast<std::int64_t>(student.record.class_count)}};

  const ResNetLayers layers = layers_of(student.weights);
  GraphBuilder graph(student.weights, out);
  std::string x = options.input == GraphInput::kUint8 ? normalised(graph, student.record) : out.input.name;
  x = graph.node("Relu", "conv1.relu", {graph.layer(x, layers.stem)});
  x = graph.node("MaxPool", "maxpool", {x},
                 {{"kernel_shape", Integers{3, 3}}, {"strides", Integers{2, 2}}, {"pads", Integers(4, 1)}});
  for (std::size_t i = 0; i < layers.blocks.size(); ++i) x = graph.block(x, layers.blocks[i], i);
  x = graph.node("Flatten", "pooled", {graph.node("GlobalAveragePool", "avgpool", {x})}, {{"axis", std::int64_t{1}}});
  graph.node("Gemm", out.output.name, {x, graph.weight("fc.weight"), graph.weight("fc.bias")},
             {{"transB", std::int64_t{1}}});
  return out;
}

}  // namespace vitrine
