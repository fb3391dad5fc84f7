#include "tools/commands/export/description.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/commands/export/version.h"

namespace vitrine {
namespace {

using Json = nlohmann::ordered_json;

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::map<std::string, std::string> description_of(const StoredStudent& student, GraphInput input) {
  const WeightsRecord& record = student.record;
  std::map<std::string, std::string> out = record.metadata();
  Json preprocessing{{"size", record.size}};
  if (record.crop_pct > 0)
    preprocessing["resize_shorter_side"] = static_cast<std::int64_t>(std::floor(record.size / record.crop_pct));
  preprocessing["crop"] = "center";
  preprocessing["interpolation"] = "bicubic";
  preprocessing["antialias"] = true;
  preprocessing["colours"] = "RGB";
  preprocessing["exif_orientation"] = record.decoding.apply_orientation ? "apply" : "ignore";
  preprocessing["grey16"] = record.decoding.scale_grey16 ? "scale" : "clip";
  preprocessing["mean"] = record.mean;
  preprocessing["std"] = record.stddev;
  preprocessing["input"] = input == GraphInput::kUint8 ? "uint8 [N, H, W, 3]; the graph normalises"
                                                       : "float32 [N, 3, H, W]: (value / 255 - mean) / std";
  out["vitrine.preprocessing"] = dumped(preprocessing);
  out["vitrine.origin"] = dumped(
      {{"weights", student.file.filename().string()}, {"sha256", student.sha256}, {"vitrine", vitrine_version()}});
  return out;
}

std::string as_json(const std::map<std::string, std::string>& description) {
  return Json(description).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace vitrine
