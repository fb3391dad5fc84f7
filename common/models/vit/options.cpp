#include "common/models/vit/options.h"

#include <optional>
#include <regex>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/models/vit/architectures.h"

namespace vitrine {
namespace {

void set_if_zero(int& value, int from_arch) {
  if (value == 0) value = from_arch;
}

}  // namespace

void VitOptions::fields(Fields& f) {
  f.text("arch", arch, "vit_{tiny,small,base,large}_patch{8,14,16,32}_SIZE, or empty with all dimensions given");
  f.integer("image_size", image_size, "side of the square input in pixels; 0: from arch", {0, 4096});
  f.integer("patch", patch, "side of a patch; 0: from arch", {0, 256});
  f.integer("dim", dim, "width of a token; 0: from arch", {0, 16384});
  f.integer("depth", depth, "number of blocks; 0: from arch", {0, 256});
  f.integer("heads", heads, "attention heads; 0: from arch", {0, 256});
  f.integer("classes", classes, "number of classes", {1, 1 << 24});
  f.integer("mlp_ratio", mlp_ratio, "hidden width of the MLP, as a multiple of dim", {1, 64});
}

VitOptions resolve(VitOptions options) {
  if (!options.arch.empty()) {
    static const std::regex pattern("vit_(tiny|small|base|large)_patch(8|14|16|32)_([1-9][0-9]{1,3})");
    std::smatch match;
    if (!std::regex_match(options.arch, match, pattern))
      fail("unknown architecture \"", options.arch,
           "\"; expected vit_{tiny,small,base,large}_patch{8,14,16,32}_SIZE, for instance vit_base_patch16_224");
    const std::optional<VitArchitecture> arch = find_architecture(options.arch, "model.arch");
    if (!arch) throw std::logic_error("resolve: the pattern and the table of architectures differ");
    set_if_zero(options.dim, arch->dim);
    set_if_zero(options.depth, arch->depth);
    set_if_zero(options.heads, arch->heads);
    set_if_zero(options.patch, std::stoi(match[2]));
    set_if_zero(options.image_size, std::stoi(match[3]));
  }
  const std::string what = options.arch.empty() ? "the ViT without an arch" : "the ViT " + options.arch;
  const std::pair<const char*, int> dimensions[] = {
      {"image_size", options.image_size}, {"patch", options.patch}, {"dim", options.dim},
      {"depth", options.depth},           {"heads", options.heads}, {"classes", options.classes},
      {"mlp_ratio", options.mlp_ratio}};
  for (const auto& [name, value] : dimensions)
    if (value <= 0) fail(what, " has ", name, " = ", value, "; expected at least 1");
  if (options.image_size % options.patch != 0)
    fail(what, " has image_size = ", options.image_size, ", which patch = ", options.patch,
         " does not divide; choose a multiple");
  if (options.dim % options.heads != 0)
    fail(what, " has dim = ", options.dim, ", which heads = ", options.heads, " does not divide; choose a multiple");
  return options;
}

VitStructure structure_of(const VitOptions& given) {
  const VitOptions options = resolve(given);
  VitStructure out;
  out.arch = options.arch;
  out.image_size = options.image_size;
  out.patch = options.patch;
  out.dim = options.dim;
  out.depth = options.depth;
  out.heads = options.heads;
  out.head_dim = options.dim / options.heads;
  out.classes = options.classes;
  out.mlp_hidden = options.mlp_ratio * options.dim;
  return out;
}

}  // namespace vitrine
