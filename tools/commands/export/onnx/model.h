// A description of an ONNX model (https://onnx.ai/onnx/repo-docs/IR.html) in plain types, and its files. Covers what
// the export of a network needs: one input, one output, FP32 weights, operators with one output and integer attributes.
#ifndef VITRINE_TOOLS_COMMANDS_EXPORT_ONNX_MODEL_H_
#define VITRINE_TOOLS_COMMANDS_EXPORT_ONNX_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace vitrine {

enum class OnnxType : std::uint8_t { kFloat, kUint8 };

/// A size, or the name of one that is free.
using OnnxDimension = std::variant<std::int64_t, std::string>;

/// The input or output.
struct OnnxValue {
  std::string name;
  OnnxType type = OnnxType::kFloat;
  std::vector<OnnxDimension> shape;
  bool operator==(const OnnxValue&) const = default;
};

/// A constant, FP32, contiguous.
struct OnnxWeight {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
  bool operator==(const OnnxWeight&) const = default;
};

using OnnxAttribute = std::variant<std::int64_t, std::vector<std::int64_t>>;

struct OnnxNode {
  std::string op;                   ///< of the default domain: "Conv"
  std::vector<std::string> inputs;  ///< names of the input, of weights and of earlier outputs
  std::string output;               ///< also the node's name
  std::map<std::string, OnnxAttribute> attributes;
  bool operator==(const OnnxNode&) const = default;
};

/// The range of OnnxModel::opset in which the operators of a ResNet have one meaning and FP32 weights one form.
inline constexpr int kMinOpset = 17, kMaxOpset = 23;

/// Of the files that write_onnx() writes.
inline constexpr const char* kOnnxProducer = "vitrine";

struct OnnxModel {
  int opset = kMinOpset;
  std::string version;  ///< of Vitrine, its producer
  OnnxValue input, output;
  std::vector<OnnxNode> nodes;  ///< each after those whose outputs it takes
  std::vector<OnnxWeight> weights;
  std::map<std::string, std::string> metadata;  ///< metadata_props
  bool operator==(const OnnxModel&) const = default;
};

/// Writes the file; the same model gives the same bytes. Throws Error, naming `path`: it cannot be written, or it would
/// have more than 2 GB, the limit of a protobuf message.
void write_onnx(const OnnxModel& model, const std::filesystem::path& path);

/// Reads a file that write_onnx() wrote. Throws Error, kCorrupt, for any other.
OnnxModel read_onnx(const std::filesystem::path& path);

/// The metadata_props of any ONNX file. Throws Error, kCorrupt, for what is none.
std::map<std::string, std::string> onnx_metadata(const std::filesystem::path& path);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_EXPORT_ONNX_MODEL_H_
