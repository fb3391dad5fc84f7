#include "common/models/weights/load.h"

#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include "common/base/error.h"
#include "common/models/weights/layout.h"

namespace vitrine {
namespace {

/// Whether the file's head is absent or has another number of classes.
bool head_differs(const Tensors& state, const Tensors& tensors, const std::string& head) {
  if (head.empty()) return false;
  const auto own = state.find(head + ".weight");
  if (own == state.end()) throw std::logic_error("the module has no layer " + head);
  const auto theirs = tensors.find(head + ".weight");
  if (theirs == tensors.end()) return !tensors.contains(head + ".bias");
  // Only the number of classes may differ; another width means another model.
  return theirs->second.dim() == 2 && theirs->second.size(1) == own->second.size(1) &&
         theirs->second.size(0) != own->second.size(0);
}

Tensors without_prefix(const Tensors& tensors, const std::string& prefix) {
  Tensors out;
  for (const auto& [name, tensor] : tensors) out.emplace(name.substr(prefix.size()), tensor);
  return out;
}

/// The remedy for tensors that do not fit the model.
std::string advice(const Tensors& tensors, const Tensors& state) {
  if (const std::string prefix = part_prefix(tensors, state); !prefix.empty())
    return text("the file has the model's tensors under the prefix \"", prefix,
                "\", among others: save only those, without the prefix");
  return text("the file looks like ", describe_layout(tensors), ", the model is ", describe_layout(state),
              ": choose the architecture, image size and classes that the weights were made for");
}

}  // namespace

Tensors state_dict(const torch::nn::Module& module) {
  Tensors state;
  for (const auto& item : module.named_parameters()) state.emplace(item.key(), item.value().detach());
  for (const auto& item : module.named_buffers()) state.emplace(item.key(), item.value().detach());
  return state;
}

LoadReport load_weights(torch::nn::Module& module, const Tensors& file, const std::string& where,
                        const std::string& replaceable_head) {
  Tensors state = state_dict(module);
  LoadReport report;
  report.prefix = wrapping_prefix(file, state);
  const Tensors tensors = report.prefix.empty() ? file : without_prefix(file, report.prefix);
  if (!report.prefix.empty())
    report.note = text(where, ": stripped the prefix \"", report.prefix, "\" from all names.");
  const auto misfit = [&](const auto&... parts) {
    throw Error(ErrorKind::kInput, {.path = where, .what = text(parts...), .remedy = advice(tensors, state)});
  };
  if (head_differs(state, tensors, replaceable_head)) {
    const auto own = state.at(replaceable_head + ".weight").size(0);
    const auto theirs = tensors.find(replaceable_head + ".weight");
    report.head_replaced = true;
    report.note += report.note.empty() ? "" : " ";
    report.note += theirs == tensors.end()
                       ? text(where, " has no head: \"", replaceable_head, "\" for ", own, " classes starts untrained.")
                       : text(where, " has a head for ", theirs->second.size(0), " classes: \"", replaceable_head,
                              "\" for ", own, " classes starts untrained.");
  }
  const auto is_left_out = [&](const std::string& name) {
    return report.head_replaced && (name == replaceable_head + ".weight" || name == replaceable_head + ".bias");
  };

  for (const auto& [name, own] : state) {
    if (is_left_out(name)) continue;
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (name.ends_with("num_batches_tracked")) continue;
      misfit("tensor \"", name, "\" of shape ", own.sizes(), " is missing");
    }
    const at::Tensor& theirs = found->second;
    if (theirs.sizes() != own.sizes())
      misfit("tensor \"", name, "\" has shape ", theirs.sizes(), ", the model needs ", own.sizes());
    if (theirs.is_floating_point() != own.is_floating_point())
      fail(where, ": tensor \"", name, "\" has type ", at::toString(theirs.scalar_type()), ", the model needs ",
           at::toString(own.scalar_type()), "; convert the file");
  }
  for (const auto& [name, theirs] : tensors)
    if (!state.contains(name) && !is_left_out(name))
      misfit("tensor \"", name, "\" of shape ", theirs.sizes(), " is unexpected");

  const at::NoGradGuard no_grad;
  for (auto& [name, own] : state)
    if (const auto found = tensors.find(name); found != tensors.end() && !is_left_out(name)) own.copy_(found->second);
  return report;
}

}  // namespace vitrine
