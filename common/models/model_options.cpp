#include "common/models/model_options.h"

#include <ATen/ATen.h>

namespace vitrine {

void ModelOptions::fields(Fields& f) {
  f.choice<std::string>("kind", kind, {{"resnet", "resnet"}, {"vit", "vit"}},
                        "kind of model to train; a vit learns from labels and logits only");
  f.choice<std::string>("arch", arch,
                        {{"resnet18", "resnet18"},
                         {"resnet34", "resnet34"},
                         {"resnet50", "resnet50"},
                         {"resnet101", "resnet101"},
                         {"resnet152", "resnet152"}},
                        "which ResNet");
  f.integer("width", width, "channels of a ResNet's first stage; 64 is the published model", {1, 4096});
  f.section("vit", vit, "sizes of the ViT");
  f.text("weights", weights,
         "a weight file (.safetensors, .pth, .bin) or a folder with one, to start from; a head of another size is "
         "replaced; empty: random weights");
}

}  // namespace vitrine
