#include "common/models/vit/unused.h"

#include <ATen/ATen.h>

#include <set>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/models/weights/load.h"
#include "common/models/weights/names.h"

namespace vitrine {
namespace {

/// "blocks" of "blocks.0.norm1.weight".
std::string module_of(const std::string& name) {
  return name.substr(0, name.find('.'));
}

/// Whether a tensor outside all modules may be part of a forward, as prompts and scales of a tuned ViT are: it has
/// features of the tokens' width. A mask's token takes part in training only.
bool is_of_tokens(const std::string& name, const at::Tensor& tensor, int dim) {
  return name.find('.') == std::string::npos && name != "mask_token" && name != "masked_embed" && tensor.dim() > 0 &&
         tensor.size(-1) == dim;
}

}  // namespace

void drop_unused(const Vit& vit, const std::string& where, Tensors& weights, std::vector<std::string>& notes) {
  const Tensors state = state_dict(*vit);
  // With modules that a Vit never has, but others' networks of the same names do.
  std::set<std::string> modules{"pre_logits", "rel_pos_bias", "rope", "norm_pre", "attn_pool", "fc_norm", "norm"};
  for (const auto& [name, tensor] : state) modules.insert(module_of(name));
  std::vector<std::string> dropped;
  std::erase_if(weights, [&](const auto& item) {
    const auto& [name, tensor] = item;
    if (state.contains(name)) return false;
    if (tensor.is_floating_point() && (modules.contains(module_of(name)) || is_of_tokens(name, tensor, vit->dim())))
      throw Error(ErrorKind::kInput,
                  {.path = where,
                   .what = text("has a tensor that this ViT does not use: \"", name, "\", so its network is another"),
                   .remedy = "give the weights of a ViT that common/teacher/README.md lists, or export the network "
                             "(tools/scripts/export_teacher.py)"});
    dropped.push_back(name);
    return true;
  });
  if (!dropped.empty())
    notes.push_back(text(where, ": left out ", counted(dropped.size(), "tensor"),
                         " that this ViT does not use: ", listed_names(dropped)));
}

}  // namespace vitrine
