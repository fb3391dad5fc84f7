#include "tools/commands/export/timm_folder.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/json_text.h"

namespace vitrine {

std::string timm_card(const StoredStudent& student) {
  using Json = nlohmann::ordered_json;
  const WeightsRecord& record = student.record;
  constexpr std::uint32_t kTimmWidth = 64;
  if (record.model.kind != "resnet" || record.model.width != kTimmWidth)
    throw Error(ErrorKind::kInput,
                {.path = student.file.string(),
                 .what = record.model.kind == "resnet"
                             ? text("has width ", record.model.width, "; timm's ResNets have width ", kTimmWidth)
                             : "is a ViT; a folder for timm is written for ResNets",
                 .remedy = "export with --names torchvision, or to onnx"});
  Json config{{"num_classes", record.class_count},
              {"input_size", {3, record.size, record.size}},
              {"fixed_input_size", false},
              {"interpolation", "bicubic"},
              {"crop_pct", record.crop_pct},
              {"crop_mode", "center"},
              {"mean", record.mean},
              {"std", record.stddev},
              {"first_conv", "conv1"},
              {"classifier", "fc"}};
  if (!record.classes.empty()) config["label_names"] = record.classes;
  const Json card{{"architecture", record.model.arch},
                  {"num_classes", record.class_count},
                  {"num_features", student.weights.at("fc.weight").size(1)},
                  {"pretrained_cfg", config}};
  return json_text(card);
}

}  // namespace vitrine
