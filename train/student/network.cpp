#include "train/student/network.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/models/torch_errors.h"
#include "common/models/vit/resample.h"
#include "common/models/weights/load.h"
#include "common/models/weights/weights.h"
#include "common/models/weights/weights_record.h"

namespace vitrine {
namespace {

// Permutes the head's rows to the order of `names`; removes the head if the file, which has this metadata, has other
// classes.
void match_head(Tensors& tensors, const std::string& head, const std::vector<std::string>& names,
                const std::map<std::string, std::string>& metadata, const std::string& file) {
  const auto record = WeightsRecord::parse(metadata, file);
  if (!record || record->classes.empty() || names.empty() || record->classes == names) return;
  std::vector<std::int64_t> rows;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(record->classes, name);
    if (found != record->classes.end()) rows.push_back(found - record->classes.begin());
  }
  const bool permuted = rows.size() == names.size() && names.size() == record->classes.size();
  for (const char* part : {".weight", ".bias"}) {
    const auto found = tensors.find(head + part);
    if (found == tensors.end()) continue;
    if (permuted)
      found->second = found->second.index_select(0, at::tensor(rows, at::kLong));
    else
      tensors.erase(found);
  }
  note(permuted ? text(file, ": has the same classes in another order; its head is permuted to this run's order")
                : text(file, ": was trained on other classes; its head is replaced"));
}

}  // namespace

Network::Network(const ModelOptions& options, int classes, at::Device device, const std::vector<std::string>& names) {
  if (options.kind == "vit") {
    VitOptions sizes = options.vit;
    sizes.classes = classes;
    vit_ = Vit(resolve(sizes));
  } else {
    resnet_ = ResNet(options.arch, classes, static_cast<int>(options.width));
  }
  if (!options.weights.empty()) {
    const std::string head = options.kind == "vit" ? "head" : "fc";
    const WeightFiles files = read_weights(options.weights);
    for (const std::string& sentence : files.notes) note(sentence);
    Tensors tensors = vit_ ? resampled(files.tensors, vit_->structure()) : files.tensors;
    match_head(tensors, head, names, files.metadata, options.weights);
    const LoadReport report = load_weights(module(), tensors, options.weights, head);
    if (!report.note.empty()) note(report.note);
  }
  with_torch_errors({"loading the model", "free the GPU of other programs, or choose a smaller model.arch", ""},
                    [&] { module().to(device); });
  const at::NoGradGuard no_grad;
  for (at::Tensor& parameter : module().parameters())
    if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
}

torch::nn::Module& Network::module() {
  if (resnet_) return *resnet_;
  return *vit_;
}

NetworkOutputs Network::forward(const at::Tensor& pictures) {
  if (resnet_) {
    ResNetImpl::Outputs out = resnet_->forward(pictures);
    return {out.logits, std::move(out.stages)};
  }
  return {vit_->forward(pictures).logits, {}};
}

std::vector<std::int64_t> Network::widths() {
  if (!resnet_) return {};
  const auto widths = resnet_->widths();
  return {widths.begin(), widths.end()};
}

std::vector<BatchNorm2dPtr> Network::batch_norms() {
  std::vector<BatchNorm2dPtr> out;
  for (const auto& child : module().modules())
    if (auto norm = std::dynamic_pointer_cast<torch::nn::BatchNorm2dImpl>(child)) out.push_back(std::move(norm));
  return out;
}

void Network::train_mode(bool frozen_batch_norm) {
  module().train();
  if (!frozen_batch_norm) return;
  for (const BatchNorm2dPtr& norm : batch_norms()) norm->eval();
}

void Network::eval_mode() {
  module().eval();
}

}  // namespace vitrine
