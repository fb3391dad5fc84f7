#include <onnx/onnx_pb.h>

#include <cstring>
#include <fstream>

#include "common/base/error.h"
#include "tools/commands/export/onnx/model.h"

namespace vitrine {
namespace {

// The IR version that came with each operator set.
std::int64_t ir_version(int opset) {
  return opset < 19 ? 8 : opset < 21 ? 9 : opset < 23 ? 10 : 11;
}

void put(const OnnxValue& value, onnx::ValueInfoProto& out) {
  out.set_name(value.name);
  auto& tensor = *out.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(value.type == OnnxType::kUint8 ? onnx::TensorProto::UINT8 : onnx::TensorProto::FLOAT);
  for (const OnnxDimension& size : value.shape) {
    auto& dimension = *tensor.mutable_shape()->add_dim();
    if (const auto* fixed = std::get_if<std::int64_t>(&size))
      dimension.set_dim_value(*fixed);
    else
      dimension.set_dim_param(std::get<std::string>(size));
  }
}

void put(const OnnxNode& node, onnx::NodeProto& out) {
  out.set_op_type(node.op);
  out.set_name(node.output);
  for (const std::string& input : node.inputs) out.add_input(input);
  out.add_output(node.output);
  for (const auto& [name, value] : node.attributes) {
    auto& attribute = *out.add_attribute();
    attribute.set_name(name);
    if (const auto* one = std::get_if<std::int64_t>(&value)) {
      attribute.set_type(onnx::AttributeProto::INT);
      attribute.set_i(*one);
    } else {
      attribute.set_type(onnx::AttributeProto::INTS);
      for (const std::int64_t element : std::get<std::vector<std::int64_t>>(value)) attribute.add_ints(element);
    }
  }
}

void put(const OnnxWeight& weight, onnx::TensorProto& out) {
  out.set_name(weight.name);
  out.set_data_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t size : weight.shape) out.add_dims(size);
  out.set_raw_data(weight.values.data(), weight.values.size() * sizeof(float));  // little-endian, as all our machines
}

onnx::ModelProto message_of(const OnnxModel& model) {
  onnx::ModelProto out;
  out.set_ir_version(ir_version(model.opset));
  out.set_producer_name(kOnnxProducer);
  out.set_producer_version(model.version);
  auto& opset = *out.add_opset_import();
  opset.set_domain("");
  opset.set_version(model.opset);
  for (const auto& [key, value] : model.metadata) {
    auto& entry = *out.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  onnx::GraphProto& graph = *out.mutable_graph();
  graph.set_name("student");
  put(model.input, *graph.add_input());
  put(model.output, *graph.add_output());
  for (const OnnxNode& node : model.nodes) put(node, *graph.add_node());
  for (const OnnxWeight& weight : model.weights) put(weight, *graph.add_initializer());
  return out;
}

}  // namespace

void write_onnx(const OnnxModel& model, const std::filesystem::path& path) {
  constexpr std::size_t kMaxBytes = std::size_t{1} << 31;
  std::size_t bytes = 0;
  for (const OnnxWeight& weight : model.weights) bytes += weight.values.size() * sizeof(float);
  if (bytes < kMaxBytes) {
    const onnx::ModelProto message = message_of(model);
    if (bytes = message.ByteSizeLong(); bytes < kMaxBytes) {
      std::ofstream out(path, std::ios::binary);
      if (!message.SerializeToOstream(&out) || !out.flush())
        fail_system(errno, path.string(), "cannot be written", "make room on its disk, or give a writable folder");
      return;
    }
  }
  throw Error(ErrorKind::kInput, {.path = path.string(),
                                  .what = text("would have ", bytes, " bytes; an ONNX file has less than 2 GB"),
                                  .remedy = "export to safetensors, or train a smaller model"});
}

}  // namespace vitrine
