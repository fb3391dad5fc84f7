// The TorchScript format: the modules are registered by name, and the forward is compiled from source.
#include <torch/csrc/jit/serialization/export.h>
#include <torch/script.h>
#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <sstream>
#include <string_view>

#include "common/base/error.h"
#include "common/kernels/normalise.h"
#include "common/models/autocast.h"
#include "common/models/inference/fold.h"
#include "common/models/inference/layers.h"
#include "tools/commands/export/archive_file.h"
#include "tools/commands/export/formats.h"
#include "train/run/checkpoint.h"

namespace vitrine {
namespace {

using ScriptModule = torch::jit::Module;

bool is_statistic(std::string_view name) {
  return name == "running_mean" || name == "running_var" || name == "num_batches_tracked";
}

// The module of the weights below `prefix` ("layer1."), with a module for each further dot in their names.
ScriptModule module_of(const Tensors& weights, const std::string& prefix,
                       const std::shared_ptr<torch::jit::CompilationUnit>& unit) {
  ScriptModule out(c10::QualifiedName("__torch__.vitrine.Module"), unit, true);
  out.register_attribute("training", c10::BoolType::get(), false);
  for (auto next = weights.lower_bound(prefix); next != weights.end() && next->first.starts_with(prefix); ++next) {
    const std::string rest = next->first.substr(prefix.size()), name = rest.substr(0, rest.find('.'));
    if (name.size() < rest.size()) {
      if (!out.hasattr(name)) out.register_module(name, module_of(weights, prefix + name + ".", unit));
    } else if (is_statistic(name)) {
      out.register_buffer(name, next->second);
    } else {
      out.register_parameter(name, next->second, false);
    }
  }
  return out;
}

// "getattr(self.layer1, "0").conv1.weight": a name of a tensor as an expression; numbers are not identifiers.
std::string expression(const std::string& name) {
  std::istringstream parts(name);
  std::string out = "self";
  for (std::string part; std::getline(parts, part, '.');)
    out = part.find_first_not_of("0123456789") == std::string::npos ? text("getattr(", out, ", \"", part, "\")")
                                                                    : text(out, '.', part);
  return out;
}

class ForwardSource {
 public:
  std::string of(const ResNetLayers& layers, const WeightsRecord& record, GraphInput input) {
    line("def forward(self, x: Tensor) -> Tensor:");
    if (input == GraphInput::kUint8) normalise(record);
    layer("x", "x", layers.stem);
    line("    x = torch.relu(x)");
    line("    x = torch.max_pool2d(x, [3, 3], [2, 2], [1, 1])");
    for (const ResidualBlock& block : layers.blocks) residual(block);
    line("    x = torch.flatten(torch.adaptive_avg_pool2d(x, [1, 1]), 1)");
    line("    return torch.linear(x, self.fc.weight, self.fc.bias)");
    return out_.str();
  }

 private:
  template <class... Parts>
  void line(const Parts&... parts) {
    (out_ << ... << parts) << '\n';
  }
  void normalise(const WeightsRecord& record) {
    const auto single = static_cast<int>(at::kFloat);  // as a scalar type is written in TorchScript
    const auto constant = [&](const std::vector<double>& colours) {
      std::ostringstream list;
      list.precision(17);
      for (const double colour : colours) list << (list.tellp() > 0 ? ", " : "") << std::showpoint << colour;
      return text("torch.reshape(torch.tensor([", list.str(), "], dtype=", single, ", device=x.device), [1, 3, 1, 1])");
    };
    line("    x = torch.permute(x, [0, 3, 1, 2]).to(", single, ")");
    line("    x = (x / 255.0 - ", constant(record.mean), ") / ", constant(record.stddev));
  }
  // to = norm(convolution(from))
  void layer(const char* to, const char* from, const ConvolutionLayer& layer) {
    const std::int64_t stride = layer.stride, padding = layer.padding();
    const std::string norm = expression(layer.norm);
    line("    ", to, " = torch.conv2d(", from, ", ", expression(layer.name), ".weight, None, [", stride, ", ", stride,
         "], [", padding, ", ", padding, "])");
    line("    ", to, " = torch.batch_norm(", to, ", ", norm, ".weight, ", norm, ".bias, ", norm, ".running_mean, ",
         norm, ".running_var, False, 0.1, ", kBatchNormEpsilon, ", True)");
  }
  void residual(const ResidualBlock& block) {
    for (std::size_t i = 0; i < block.path.size(); ++i) {
      layer("y", i == 0 ? "x" : "y", block.path[i]);
      if (i + 1 < block.path.size()) line("    y = torch.relu(y)");
    }
    if (block.shortcut) layer("x", "x", *block.shortcut);
    line("    x = torch.relu(x + y)");
  }

  std::ostringstream out_;
};

Forward forward_of_module(const std::filesystem::path& path, const WeightsRecord& record, GraphInput input) {
  const auto module = std::make_shared<ScriptModule>(torch::jit::load(path.string(), at::kCPU));
  const auto mean = rgb_triplet(record.mean, "mean"), stddev = rgb_triplet(record.stddev, "std");
  return [module, mean, stddev, input](const at::Tensor& pictures) {
    const torch::jit::GraphOptimizerEnabledGuard no_optimiser(false);
    return module->forward({input == GraphInput::kUint8 ? pictures : normalise_pictures(pictures, mean, stddev)})
        .toTensor();
  };
}

}  // namespace

Forward write_torchscript(const StoredStudent& student, const GraphOptions& options,
                          const std::filesystem::path& path) {
  const auto unit = std::make_shared<torch::jit::CompilationUnit>();
  ScriptModule module = module_of(student.weights, "", unit);
  module.define(ForwardSource().of(layers_of(student.weights), student.record, options.input));
  ArchiveFile file(path);
  torch::jit::ExportModule(module, [&](const void* bytes, std::size_t size) { return file.write(bytes, size); },
                           {{kRecordEntry, as_json(description_of(student, options.input))}});
  file.close();
  return forward_of_module(path, student.record, options.input);
}

}  // namespace vitrine
