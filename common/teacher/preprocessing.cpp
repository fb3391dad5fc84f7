#include "common/teacher/preprocessing.h"

#include <array>
#include <string_view>
#include <utility>

#include "common/models/weights/naming_tables.h"

namespace vitrine {
namespace {

enum class Colours { kImageNet, kHalf, kClip, kNone };

Preprocessing preprocessing(Colours colours, double crop_pct) {
  switch (colours) {
    case Colours::kHalf:
      return {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}, crop_pct};
    case Colours::kClip:
      return {{0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}, crop_pct};
    case Colours::kNone:
      return {{0, 0, 0}, {1, 1, 1}, crop_pct};
    case Colours::kImageNet:
      break;
  }
  return {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, crop_pct};
}

/// A word in timm's name of the architecture; the first that is found decides.
struct Family {
  std::string_view word, name;
  Colours colours;
  double crop_pct;
};
constexpr std::array kFamilies{
    Family{"miil", "MIIL", Colours::kNone, 0.875},       Family{"siglip", "SigLIP", Colours::kHalf, 0.9},
    Family{"clip", "CLIP", Colours::kClip, 1.0},         Family{"dinov3", "DINOv3", Colours::kImageNet, 1.0},
    Family{"dinov2", "DINOv2", Colours::kImageNet, 1.0}, Family{"dino", "DINO", Colours::kImageNet, 0.9},
    Family{"mae", "MAE", Colours::kImageNet, 0.9},       Family{"beitv2", "BEiTv2", Colours::kImageNet, 0.95},
    Family{"beit", "BEiT", Colours::kHalf, 0.9},         Family{"deit", "DeiT", Colours::kImageNet, 0.9},
    Family{"eva02", "EVA-02", Colours::kClip, 1.0},      Family{"pe_", "Perception Encoder", Colours::kHalf, 1.0},
    Family{"gap", "SBB", Colours::kHalf, 0.95},          Family{"vit_", "AugReg", Colours::kHalf, 0.9}};

}  // namespace

UsualPreprocessing usual_preprocessing(const VitStructure& structure, std::string_view naming) {
  for (const Family& family : kFamilies)
    if (structure.arch.find(family.word) != std::string::npos)
      return {preprocessing(family.colours, family.crop_pct), std::string(family.name)};
  if (naming == kGoogleVit) return {preprocessing(Colours::kHalf, 0.9), std::string(naming)};
  const auto guess = [](Colours colours, double crop_pct, const char* family) {
    return UsualPreprocessing{preprocessing(colours, crop_pct), family, true};
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
  for (const Colours colours : {Colours::kImageNet, Colours::kHalf, Colours::kClip, Colours::kNone}) {
    Preprocessing usual = preprocessing(colours, 1);
    out.push_back({std::move(usual.mean), std::move(usual.stddev)});
  }
  return out;
}

}  // namespace vitrine
