#include "common/models/vit/architectures.h"

#include <array>
#include <string_view>

#include "common/base/error.h"

namespace vitrine {
namespace {

/// Sizes of the architectures whose names contain the words; the first match counts.
struct NamedSize {
  std::string_view word, and_word;
  int dim, depth, heads;
};
constexpr std::array kNamedSizes{
    NamedSize{"_giant_", "_dinov2", 1536, 40, 24},
    NamedSize{"_pe_lang_gigantic_", "", 1536, 47, 16},
    NamedSize{"_pe_lang_large_", "", 1024, 23, 16},
    NamedSize{"_pe_", "_gigantic_", 1536, 50, 16},
    NamedSize{"_base_patch16_gap_", "", 768, 12, 16},
    NamedSize{"_base_patch16_plus_", "", 896, 12, 14},
    NamedSize{"_base_patch32_plus_", "", 896, 12, 14},
    NamedSize{"_small_patch16_36x1_", "", 384, 36, 6},
    NamedSize{"_small_plus_", "", 384, 12, 6},
    NamedSize{"_huge_plus_", "", 1280, 32, 20},
    NamedSize{"_tiny_", "", 192, 12, 3},
    NamedSize{"_wee_", "", 256, 14, 4},
    NamedSize{"_xsmall_", "", 256, 10, 4},
    NamedSize{"_little_", "", 320, 14, 5},
    NamedSize{"_small_", "", 384, 12, 6},
    NamedSize{"_medium_", "", 512, 12, 8},
    NamedSize{"_mediumd_", "", 512, 20, 8},
    NamedSize{"_betwixt_", "", 640, 12, 10},
    NamedSize{"_base_", "", 768, 12, 12},
    NamedSize{"_so150m_", "", 896, 18, 14},
    NamedSize{"_so150m2_", "", 832, 21, 13},
    NamedSize{"_large_", "", 1024, 24, 16},
    NamedSize{"_intern300m_", "", 1024, 24, 16},
    NamedSize{"_so400m_", "", 1152, 27, 16},
    NamedSize{"_huge_", "", 1280, 32, 16},
    NamedSize{"_giant_", "", 1408, 40, 16},
    NamedSize{"_giantopt_", "", 1536, 40, 16},
    NamedSize{"_gigantic_", "", 1664, 48, 16},
    NamedSize{"_7b_", "", 4096, 40, 32},
};
constexpr std::array<std::string_view, 6> kPrefixes{"vit_", "deit", "beit", "eva", "flexivit_", "aimv2_"};

struct Unsupported {
  std::string_view word, reason;
};
constexpr std::array kUnsupported{
    Unsupported{"_rpn_", "norms after its branches"},     Unsupported{"_rope_mixed_", "learned rotary frequencies"},
    Unsupported{"_18x2_", "parallel branches"},           Unsupported{"_pwee_", "parallel branches"},
    Unsupported{"_xp_", "parallel branches and RMSNorm"}, Unsupported{"aimv2_", "RMSNorm"},
    Unsupported{"_enormous_", "norms after its branches"}};

bool has_word(std::string_view name, std::string_view word) {
  return name.find(word) != std::string_view::npos;
}

VitActivation named_activation(std::string_view name) {
  if (has_word(name, "quickgelu")) return VitActivation::kQuickGelu;
  const bool tanh = has_word(name, "_siglip_") &&
                    (has_word(name, "_base_patch32_") || has_word(name, "_giantopt_") ||
                     has_word(name, "_so400m_patch16_") || (has_word(name, "_large_") && name.ends_with("_512")));
  return tanh ? VitActivation::kGeluTanh : VitActivation::kGelu;
}

/// Perception Encoders: the grid of their training.
int named_reference_grid(std::string_view name) {
  if (!has_word(name, "_pe_")) return 0;
  if (has_word(name, "_pe_core_base_")) return 14;
  return has_word(name, "_pe_core_") && !has_word(name, "_gigantic_") ? 24 : 32;
}

}  // namespace

std::optional<VitArchitecture> find_architecture(const std::string& tagged, const std::string& where) {
  const std::string name = tagged.substr(0, tagged.find('.'));
  bool known = false;
  for (const std::string_view prefix : kPrefixes) known = known || name.starts_with(prefix);
  if (!known) return std::nullopt;
  for (const Unsupported& one : kUnsupported)
    if (has_word(name, one.word))
      throw Error(ErrorKind::kInput,
                  {.path = where,
                   .what = text("the architecture \"", name, "\" is not supported: it has ", one.reason),
                   .remedy = "choose another teacher"});
  const std::string padded = name + "_";
  for (const NamedSize& size : kNamedSizes) {
    if (!has_word(padded, size.word) || !has_word(padded, size.and_word)) continue;
    VitArchitecture out{name, size.dim, size.depth, size.heads};
    out.activation = named_activation(name);
    out.mean_of_patches = has_word(name, "_pe_lang_") || has_word(name, "_pe_spatial_");
    out.no_final_norm = out.mean_of_patches || has_word(name, "_intern300m_");
    out.axial_rope = has_word(padded, "_rope_") && !has_word(name, "_rope_reg");
    out.rope_reference_grid = named_reference_grid(name);
    return out;
  }
  return std::nullopt;
}

}  // namespace vitrine
