// Weights for another image or patch size than they were trained with, resampled as timm does.
#ifndef VITRINE_COMMON_MODELS_VIT_RESAMPLE_H_
#define VITRINE_COMMON_MODELS_VIT_RESAMPLE_H_

#include <optional>

#include "common/models/weights/safetensors.h"
#include "common/models/vit/structure.h"

namespace vitrine {

/// pos_embed [1, prefix + side², dim] for another grid, in FP32: antialiased bicubic; prefix rows are kept.
at::Tensor resample_positions(const at::Tensor& pos_embed, int prefix, int grid);

/// A patch convolution's weight [dim, 3, p, p] for another patch: the pseudo-inverse of the antialiased bicubic
/// resizing of patches (FlexiViT, Beyer et al., arXiv:2212.08013), in FP32.
at::Tensor resample_patch(const at::Tensor& weight, int patch);

/// A relative position bias table [rows, heads] for another grid: bilinear between positions in a geometric progression
/// that spans the new offsets (as BEiT's code, Bao et al., arXiv:2106.08254, does with bicubic); the last three rows
/// are kept.
at::Tensor resample_relative_table(const at::Tensor& table, int grid);

/// The weights with these tensors resampled where their shapes do not match the structure's image size and patch. All
/// other tensors are shared; those whose shape makes no sense are left for load_weights() to reject.
Tensors resampled(const Tensors& weights, const VitStructure& structure);

/// The size that weights were trained with, in pixels.
struct TrainedSize {
  int image_size = 0;  ///< 0: they have no positions
  int patch = 0;
};
/// That of the weights, if resampled() changes them.
std::optional<TrainedSize> size_before_resampling(const Tensors& weights, const VitStructure& structure);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_RESAMPLE_H_
