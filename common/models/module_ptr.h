// torch::nn's modules as members of our own, declared here and defined where they are made: their headers and templates
// cost seconds in each file that includes them.
#ifndef VITRINE_COMMON_MODELS_MODULE_PTR_H_
#define VITRINE_COMMON_MODELS_MODULE_PTR_H_

#include <memory>

namespace torch::nn {
class BatchNorm2dImpl;
class Conv2dImpl;
class LayerNormImpl;
class LinearImpl;
class ModuleListImpl;
class SequentialImpl;
}  // namespace torch::nn

namespace vitrine {

class ConvolutionImpl;

/// Null until the constructor registers the module, and where there is none.
using BatchNorm2dPtr = std::shared_ptr<torch::nn::BatchNorm2dImpl>;
using Conv2dPtr = std::shared_ptr<torch::nn::Conv2dImpl>;
using ConvolutionPtr = std::shared_ptr<ConvolutionImpl>;
using LayerNormPtr = std::shared_ptr<torch::nn::LayerNormImpl>;
using LinearPtr = std::shared_ptr<torch::nn::LinearImpl>;
using ModuleListPtr = std::shared_ptr<torch::nn::ModuleListImpl>;
using SequentialPtr = std::shared_ptr<torch::nn::SequentialImpl>;

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_MODULE_PTR_H_
