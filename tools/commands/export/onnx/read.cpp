#include <onnx/onnx_pb.h>

#include <cstring>
#include <limits>

#include "common/base/error.h"
#include "common/base/files.h"
#include "tools/commands/export/onnx/model.h"

namespace vitrine {
namespace {

[[noreturn]] void other(const std::string& what) {
  throw Error(ErrorKind::kCorrupt,
              {.what = text("is not an ONNX file of Vitrine (", what, ")"), .remedy = "export again"});
}

OnnxValue value_of(const onnx::ValueInfoProto& in) {
  OnnxValue out{.name = in.name()};
  const auto& tensor = in.type().tensor_type();
  if (tensor.elem_type() == onnx::TensorProto::UINT8)
    out.type = OnnxType::kUint8;
  else if (tensor.elem_type() != onnx::TensorProto::FLOAT)
    other("type of " + in.name());
  for (const auto& dimension : tensor.shape().dim())
    out.shape.push_back(dimension.has_dim_value() ? OnnxDimension(dimension.dim_value())
                                                  : OnnxDimension(dimension.dim_param()));
  return out;
}

OnnxNode node_of(const onnx::NodeProto& in) {
  if (in.output_size() != 1) other("outputs of " + in.name());
  OnnxNode out{.op = in.op_type(), .inputs = {in.input().begin(), in.input().end()}, .output = in.output(0)};
  for (const auto& attribute : in.attribute()) {
    if (attribute.type() == onnx::AttributeProto::INT)
      out.attributes[attribute.name()] = attribute.i();
    else if (attribute.type() == onnx::AttributeProto::INTS)
      out.attributes[attribute.name()] = std::vector<std::int64_t>(attribute.ints().begin(), attribute.ints().end());
    else
      other("attribute " + attribute.name());
  }
  return out;
}

OnnxWeight weight_of(const onnx::TensorProto& in) {
  OnnxWeight out{.name = in.name(), .shape = {in.dims().begin(), in.dims().end()}};
  std::uint64_t elements = 1;
  for (const std::int64_t size : out.shape)
    if (size < 0 || __builtin_mul_overflow(elements, static_cast<std::uint64_t>(size), &elements))
      other("shape of " + in.name());
  const std::string& bytes = in.raw_data();
  if (in.data_type() != onnx::TensorProto::FLOAT || bytes.size() % sizeof(float) != 0 ||
      bytes.size() / sizeof(float) != elements)
    other("values of " + in.name());
  out.values.resize(elements);
  if (!bytes.empty()) std::memcpy(out.values.data(), bytes.data(), bytes.size());
  return out;
}

std::map<std::string, std::string> metadata_of(const onnx::ModelProto& in) {
  std::map<std::string, std::string> out;
  for (const auto& entry : in.metadata_props()) out[entry.key()] = entry.value();
  return out;
}

OnnxModel model_of(const onnx::ModelProto& in) {
  const onnx::GraphProto& graph = in.graph();
  if (in.producer_name() != kOnnxProducer) other("made by " + in.producer_name());
  if (in.opset_import_size() != 1 || graph.input_size() != 1 || graph.output_size() != 1) other("inputs and outputs");
  OnnxModel out;
  out.opset = static_cast<int>(in.opset_import(0).version());
  out.version = in.producer_version();
  out.input = value_of(graph.input(0));
  out.output = value_of(graph.output(0));
  for (const auto& node : graph.node()) out.nodes.push_back(node_of(node));
  for (const auto& weight : graph.initializer()) out.weights.push_back(weight_of(weight));
  out.metadata = metadata_of(in);
  return out;
}

// What `take` makes of the file's message.
template <class Take>
auto from_file(const std::filesystem::path& path, const Take& take) {
  const MappedFile file(path);
  try {
    onnx::ModelProto message;
    if (file.bytes().size() > std::numeric_limits<int>::max() ||
        !message.ParseFromArray(file.bytes().data(), static_cast<int>(file.bytes().size())))
      other("its protobuf cannot be parsed");
    return take(message);
  } catch (const Error& error) {
    throw error.at({.path = path.string()});
  }
}

}  // namespace

OnnxModel read_onnx(const std::filesystem::path& path) {
  return from_file(path, model_of);
}

std::map<std::string, std::string> onnx_metadata(const std::filesystem::path& path) {
  return from_file(path, metadata_of);
}

}  // namespace vitrine
