// Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): where in a picture a ResNet finds its evidence for a class.
#ifndef VITRINE_COMMON_EVAL_GRAD_CAM_H_
#define VITRINE_COMMON_EVAL_GRAD_CAM_H_

#include <ATen/core/Tensor.h>

#include "common/models/resnet.h"

namespace vitrine {

/// L = ReLU(Σ_k α_k·A_k) with α_k = mean over positions of ∂z_c/∂A_k (eqs. 1 and 2), where A is the output of the last
/// stage and z_c the logit of the class; each map is divided by its maximum.
///
/// pictures: [N, 3, H, W], FP32, normalised, on the model's device; classes: int64 [N] in [0, K), on any device.
/// Returns FP32 [N, h, w] on that device (h, w: size of the last stage), in [0, 1]; a map without positive evidence is
/// 0 everywhere. Runs in evaluation mode and restores the model's mode; neither weights nor their gradients change.
/// Works inside a NoGradGuard and for frozen weights. Takes the memory of a forward pass with gradients. Throws Error
/// for other shapes, types or classes.
at::Tensor grad_cam(ResNet& model, const at::Tensor& pictures, const at::Tensor& classes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_EVAL_GRAD_CAM_H_
