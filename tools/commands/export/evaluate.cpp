#include <ATen/ATen.h>

#include <map>
#include <stdexcept>
#include <string>
#include <variant>

#include "common/base/error.h"
#include "tools/commands/export/fold.h"

namespace vitrine {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorKind::kCorrupt, {.what = what, .remedy = "export again"});
}

class GraphEvaluation {
 public:
  explicit GraphEvaluation(const OnnxModel& model) {
    for (const OnnxWeight& weight : model.weights)
      // ATen does not write to the values.
      values_[weight.name] = at::from_blob(const_cast<float*>(weight.values.data()), weight.shape, at::kFloat);
  }

  at::Tensor run(const OnnxModel& model, const at::Tensor& x) {
    values_[model.input.name] = x;
    for (const OnnxNode& node : model.nodes) values_[node.output] = result(node);
    return values_.at(model.output.name);
  }

 private:
  static std::vector<std::int64_t> list(const OnnxNode& node, const char* name) {
    return std::get<std::vector<std::int64_t>>(node.attributes.at(name));
  }
  // Of both sides of each axis, which are equal.
  static std::vector<std::int64_t> padding(const OnnxNode& node) {
    const std::vector<std::int64_t> pads = list(node, "pads");
    return {pads.at(0), pads.at(1)};
  }

  at::Tensor result(const OnnxNode& node) const {
    const auto input = [&](std::size_t i) { return values_.at(node.inputs.at(i)); };
    if (node.op == "Conv") return at::conv2d(input(0), input(1), input(2), list(node, "strides"), padding(node));
    if (node.op == "Relu") return at::relu(input(0));
    if (node.op == "Add") return input(0) + input(1);
    if (node.op == "Sub") return input(0) - input(1);
    if (node.op == "Div") return input(0) / input(1);
    if (node.op == "Cast") return input(0).to(at::kFloat);
    if (node.op == "Transpose") return input(0).permute(list(node, "perm"));
    if (node.op == "MaxPool")
      return at::max_pool2d(input(0), list(node, "kernel_shape"), list(node, "strides"), padding(node));
    if (node.op == "GlobalAveragePool") return input(0).mean({2, 3}, true);
    if (node.op == "Flatten") return input(0).flatten(1);
    if (node.op == "Gemm") return at::linear(input(0), input(1), input(2));
    refuse(text("the operator ", node.op, " is not one of an exported student"));
  }

  std::map<std::string, at::Tensor> values_;
};

}  // namespace

at::Tensor evaluate(const OnnxModel& model, const at::Tensor& x) {
  try {
    return GraphEvaluation(model).run(model, x);
  } catch (const std::out_of_range&) {
  } catch (const std::bad_variant_access&) {
  }
  refuse("a node of its graph lacks an input or an attribute");
}

}  // namespace vitrine
