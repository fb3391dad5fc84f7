#include <torch/torch.h>

#include "train/student/weights_record.h"

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/json.h"

namespace vitrine {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kPrefix = "vitrine.";

// The dimensions of a ViT by their keys.
std::vector<std::pair<const char*, int VitOptions::*>> dimensions() {
  return {
      {"image_size", &VitOptions::image_size}, {"patch", &VitOptions::patch}, {"dim", &VitOptions::dim},
      {"depth", &VitOptions::depth},           {"heads", &VitOptions::heads}, {"mlp_ratio", &VitOptions::mlp_ratio}};
}

}  // namespace

std::map<std::string, std::string> WeightsRecord::metadata() const {
  Json json = {{"kind", model.kind}};
  if (model.kind == "vit") {
    for (const auto& [key, member] : dimensions()) json[key] = model.vit.*member;
  } else {
    json["arch"] = model.arch;
    json["width"] = model.width;
  }
  json["size"] = size;
  json["mean"] = mean;
  json["std"] = stddev;
  json["crop_pct"] = crop_pct;
  json["exif_orientation"] = decoding.apply_orientation ? "apply" : "ignore";
  json["grey16"] = decoding.scale_grey16 ? "scale" : "clip";
  json["precision"] = precision;
  json["classes"] = classes;
  json["class_count"] = class_count;
  json["step"] = step;
  json["selection"] = selection;
  if (score) json["score"] = *score;
  std::map<std::string, std::string> out{{"format", "pt"}};
  for (const auto& [key, value] : json.items())
    out[kPrefix + key] =
        value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return out;
}

std::optional<WeightsRecord> WeightsRecord::parse(const std::map<std::string, std::string>& metadata,
                                                  const std::string& where) {
  if (!metadata.contains(std::string(kPrefix) + "kind")) return std::nullopt;
  std::string asked;
  const auto word = [&](const char* key) {
    asked = kPrefix + std::string(key);
    return metadata.at(asked);
  };
  const auto value = [&](const char* key) { return parse_json<Json>(word(key)); };
  // One of two words; weights from before there was a choice have none.
  const auto switched = [&](const char* key, const char* off, const char* on) {
    if (!metadata.contains(std::string(kPrefix) + key)) return false;
    const std::string found = word(key);
    if (found != off && found != on) throw std::out_of_range(key);
    return found == on;
  };
  try {
    WeightsRecord out;
    out.model.kind = word("kind");
    if (out.model.kind == "vit") {
      out.model.vit.arch.clear();
      for (const auto& [key, member] : dimensions()) out.model.vit.*member = value(key).get<int>();
    } else {
      out.model.arch = word("arch");
      out.model.width = value("width").get<std::uint32_t>();
    }
    out.size = value("size").get<std::uint32_t>();
    out.mean = value("mean").get<std::vector<double>>();
    out.stddev = value("std").get<std::vector<double>>();
    out.crop_pct = value("crop_pct").get<double>();
    out.decoding.apply_orientation = switched("exif_orientation", "ignore", "apply");
    out.decoding.scale_grey16 = switched("grey16", "clip", "scale");
    out.precision = word("precision");
    out.classes = value("classes").get<std::vector<std::string>>();
    out.class_count = value("class_count").get<std::uint64_t>();
    out.step = value("step").get<std::uint64_t>();
    out.selection = word("selection");
    if (metadata.contains(std::string(kPrefix) + "score")) out.score = value("score").get<double>();
    if (!out.classes.empty() && out.classes.size() != out.class_count) {
      asked = "vitrine.classes";
      throw std::out_of_range("classes");
    }
    return out;
  } catch (const std::out_of_range&) {
  } catch (const nlohmann::json::exception&) {
  }
  throw Error(ErrorKind::kCorrupt, {.path = where,
                                    .what = text("its metadata \"", asked, "\" is missing or makes no sense"),
                                    .remedy = "copy or make the file again"});
}

}  // namespace vitrine
