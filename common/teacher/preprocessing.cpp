#include "common/teacher/preprocessing.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "common/models/weights/naming_tables.h"

namespace vitrine {
namespace {

enum class Colours { kImageNet, kHalf, kClip, kNone, kSatellite };

Preprocessing preprocessing(Colours colours, double crop_pct) {
  switch (colours) {
    case Colours::kHalf:
      return {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}, crop_pct};
    case Colours::kClip:
      return {{0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}, crop_pct};
    case Colours::kNone:
      return {{0, 0, 0}, {1, 1, 1}, crop_pct};
    case Colours::kSatellite:
      return {{0.43, 0.411, 0.296}, {0.213, 0.156, 0.143}, crop_pct};
    case Colours::kImageNet:
      break;
  }
  return {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, crop_pct};
}

/// What all weights of a family that timm publishes have in common.
enum class Shared { kAll, kColours, kNothing };

/// The parts of timm's names, between underscores and dots, that tell a family; the first that has them all decides.
struct Family {
  std::string_view parts, name;
  Colours colours;
  double crop_pct, large_crop_pct;  ///< of pictures below kLarge, and of others
  Shared shared;
  std::string_view interpolation = "bicubic";
};
constexpr int kLarge = 336;
constexpr std::array kFamilies{
    Family{"miil", "MIIL", Colours::kNone, 0.875, 0.875, Shared::kAll, "bilinear"},
    Family{"siglip so400m gap", "SigLIP", Colours::kHalf, 0.9, 1.0, Shared::kColours},
    Family{"siglip", "SigLIP", Colours::kHalf, 0.9, 0.9, Shared::kColours},
    Family{"large patch14 clip laion2b", "LAION's CLIP", Colours::kHalf, 1.0, 1.0, Shared::kColours},
    Family{"large patch14 clip openai", "CLIP", Colours::kClip, 1.0, 1.0, Shared::kColours},
    Family{"large patch14 clip quickgelu", "CLIP", Colours::kClip, 1.0, 1.0, Shared::kColours},
    Family{"eva02", "EVA-02", Colours::kClip, 0.9, 1.0, Shared::kColours},
    Family{"eva giant m30m", "EVA", Colours::kImageNet, 1.0, 1.0, Shared::kColours},
    Family{"eva giant 560", "EVA", Colours::kImageNet, 1.0, 1.0, Shared::kAll},
    Family{"eva giant clip", "EVA-CLIP", Colours::kClip, 0.9, 1.0, Shared::kColours},
    Family{"eva giant", "EVA-CLIP", Colours::kClip, 0.9, 1.0, Shared::kNothing},
    Family{"eva large", "EVA", Colours::kClip, 1.0, 1.0, Shared::kColours},
    Family{"large patch14 clip", "CLIP", Colours::kClip, 1.0, 1.0, Shared::kNothing},
    Family{"clip", "CLIP", Colours::kClip, 1.0, 1.0, Shared::kColours},
    Family{"dinov3 sat493m", "DINOv3 of satellite pictures", Colours::kSatellite, 1.0, 1.0, Shared::kAll},
    Family{"dinov3 lvd1689m", "DINOv3", Colours::kImageNet, 1.0, 1.0, Shared::kAll},
    Family{"dinov3 large", "DINOv3", Colours::kImageNet, 1.0, 1.0, Shared::kNothing},
    Family{"dinov3 7b", "DINOv3", Colours::kImageNet, 1.0, 1.0, Shared::kNothing},
    Family{"dinov3", "DINOv3", Colours::kImageNet, 1.0, 1.0, Shared::kAll},
    Family{"dinov2", "DINOv2", Colours::kImageNet, 1.0, 1.0, Shared::kAll},
    Family{"dino", "DINO", Colours::kImageNet, 0.9, 0.9, Shared::kAll},
    Family{"mae", "MAE", Colours::kImageNet, 0.9, 0.9, Shared::kAll},
    Family{"beit3", "BEiT-3", Colours::kImageNet, 1.0, 1.0, Shared::kAll},
    Family{"beitv2 large", "BEiTv2", Colours::kImageNet, 0.95, 0.95, Shared::kColours},
    Family{"beitv2", "BEiTv2", Colours::kImageNet, 0.9, 0.9, Shared::kAll},
    Family{"beit", "BEiT", Colours::kHalf, 0.9, 1.0, Shared::kAll},
    Family{"deit3 in22k", "DeiT-III", Colours::kImageNet, 1.0, 1.0, Shared::kAll},
    Family{"deit3", "DeiT-III", Colours::kImageNet, 0.9, 1.0, Shared::kColours},
    Family{"deit", "DeiT", Colours::kImageNet, 0.9, 1.0, Shared::kAll},
    Family{"pe", "Perception Encoder", Colours::kHalf, 1.0, 1.0, Shared::kAll},
    Family{"intern300m", "InternViT", Colours::kImageNet, 1.0, 1.0, Shared::kAll},
    Family{"flexivit", "FlexiViT", Colours::kHalf, 0.95, 0.95, Shared::kAll},
    Family{"ijepa", "I-JEPA", Colours::kImageNet, 0.9, 1.0, Shared::kAll},
    Family{"huge gap", "I-JEPA", Colours::kImageNet, 0.9, 1.0, Shared::kAll},
    Family{"giant gap", "I-JEPA", Colours::kImageNet, 0.9, 1.0, Shared::kAll},
    Family{"betwixt rope", "SBB", Colours::kClip, 0.95, 0.95, Shared::kAll},
    Family{"so150m2 gap", "SBB", Colours::kHalf, 1.0, 1.0, Shared::kAll},
    Family{"gap", "SBB", Colours::kHalf, 0.95, 1.0, Shared::kColours},
    Family{"rope", "RoPE-ViT", Colours::kImageNet, 0.9, 0.9, Shared::kAll},
    Family{"augreg", "AugReg", Colours::kHalf, 0.9, 1.0, Shared::kAll},
    Family{"augreg2", "AugReg", Colours::kHalf, 0.9, 0.9, Shared::kAll},
    Family{"vit orig", "Google's ViT", Colours::kHalf, 0.9, 1.0, Shared::kAll},
    Family{"vit sam", "Google's ViT", Colours::kHalf, 0.9, 1.0, Shared::kAll}};
constexpr Family kPlainVit{"vit", "AugReg", Colours::kHalf, 0.9, 1.0, Shared::kNothing};

/// The parts of timm's name of weights, or of "clip laion2b".
std::vector<std::string_view> parts_of(std::string_view name) {
  std::vector<std::string_view> out;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find_first_of("_. ", begin), name.size());
    out.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

bool has_all(const std::vector<std::string_view>& parts, const Family& family) {
  return std::ranges::all_of(parts_of(family.parts),
                             [&](std::string_view part) { return std::ranges::find(parts, part) != parts.end(); });
}

/// Whether the name of the architecture ends with a size from kLarge, as in "vit_base_patch16_384.augreg_in1k".
bool is_large(std::string_view name) {
  int size = 0;
  for (const std::string_view part : parts_of(name.substr(0, name.find('.'))))
    std::from_chars(part.data(), part.data() + part.size(), size);
  return size >= kLarge;
}

UsualPreprocessing usual_of(const Family& family, std::string_view name) {
  Preprocessing values = preprocessing(family.colours, is_large(name) ? family.large_crop_pct : family.crop_pct);
  values.interpolation = family.interpolation;
  return {std::move(values), std::string(family.name), family.shared == Shared::kNothing,
          family.shared != Shared::kAll};
}

}  // namespace

UsualPreprocessing usual_preprocessing(const VitStructure& structure, std::string_view naming) {
  const std::vector<std::string_view> parts = parts_of(structure.arch);
  for (const Family& family : kFamilies)
    if (has_all(parts, family)) return usual_of(family, structure.arch);
  if (naming == kGoogleVit) return {preprocessing(Colours::kHalf, 0.9), std::string(naming), false, true};
  if (has_all(parts, kPlainVit)) return usual_of(kPlainVit, structure.arch);
  const auto guess = [](Colours colours, double crop_pct, const char* family) {
    return UsualPreprocessing{preprocessing(colours, crop_pct), family, true, true};
  };
  if (structure.rope == VitRope::kDinov3) return guess(Colours::kImageNet, 1.0, "DINOv3");
  if (structure.rope == VitRope::kCat)
    return structure.norm_pre ? guess(Colours::kHalf, 1.0, "Perception Encoder") : guess(Colours::kClip, 1.0, "EVA-02");
  if (structure.relative_positions) return guess(Colours::kImageNet, 0.95, "BEiTv2");
  if (structure.pooling == VitPooling::kAttention) return guess(Colours::kHalf, 0.9, "SigLIP");
  if (structure.norm_pre) return guess(Colours::kClip, 1.0, "CLIP");
  if (structure.distillation_token) return guess(Colours::kImageNet, 0.9, "DeiT");
  if (structure.layer_scale != VitLayerScale::kNone)
    return structure.class_token ? guess(Colours::kImageNet, 1.0, "DINOv2 and DeiT-III")
                                 : guess(Colours::kHalf, 0.95, "SBB");
  return guess(Colours::kImageNet, 0.9, "DeiT, DINO and MAE");
}

std::vector<Normalisation> usual_normalisations() {
  std::vector<Normalisation> out;
  for (const Colours colours :
       {Colours::kImageNet, Colours::kHalf, Colours::kClip, Colours::kNone, Colours::kSatellite}) {
    Preprocessing usual = preprocessing(colours, 1);
    out.push_back({std::move(usual.mean), std::move(usual.stddev)});
  }
  return out;
}

}  // namespace vitrine
