#include "common/models/weights/weights_record.h"

#include <ATen/ATen.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/base/error.h"
#include "common/base/json.h"

namespace vitrine {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kRecordPrefix = "vitrine.";

// The dimensions of a ViT by their keys, with the most that its options take (vit/options.cpp).
struct RecordDimension {
  const char* key;
  int VitOptions::*member;
  int most;
};
constexpr RecordDimension kRecordDimensions[] = {{"image_size", &VitOptions::image_size, 4096},
                                                 {"patch", &VitOptions::patch, 256},
                                                 {"dim", &VitOptions::dim, 16384},
                                                 {"depth", &VitOptions::depth, 256},
                                                 {"heads", &VitOptions::heads, 256},
                                                 {"mlp_ratio", &VitOptions::mlp_ratio, 64}};
constexpr std::uint32_t kMaxRecordSize = 4096, kMaxRecordWidth = 4096;  // as the options have them
constexpr std::uint64_t kMaxRecordClasses = 1 << 24;

struct RecordRefused {};

// The metadata of a file, which anybody may have written. Values that are missing or cannot be throw RecordRefused.
class RecordFields {
 public:
  explicit RecordFields(const std::map<std::string, std::string>& metadata) : metadata_(metadata) {}

  /// The key asked for last.
  const std::string& asked() const { return asked_; }
  [[noreturn]] static void refuse() { throw RecordRefused(); }
  bool has(const char* key) const { return metadata_.contains(std::string(kRecordPrefix) + key); }

  const std::string& word(const char* key) {
    asked_ = kRecordPrefix + std::string(key);
    const auto found = metadata_.find(asked_);
    if (found == metadata_.end()) refuse();
    return found->second;
  }
  // One of two words; weights from before there was a choice have none.
  bool switched(const char* key, const char* off, const char* on) {
    if (!has(key)) return false;
    const std::string& found = word(key);
    if (found != off && found != on) refuse();
    return found == on;
  }
  template <class Integer>
  Integer integer(const char* key, Integer least, Integer most) {
    const std::optional<Integer> number = integer_of<Integer>(parse_json<Json>(word(key)));
    if (!number || *number < least || *number > most) refuse();
    return *number;
  }
  double number(const char* key, double least, double most) {
    return number_of(parse_json<Json>(word(key)), least, most);
  }
  // Three numbers.
  std::vector<double> colours(const char* key, double least, double most) {
    std::vector<double> out;
    for (const Json& value : list(key)) out.push_back(number_of(value, least, most));
    if (out.size() != 3) refuse();
    return out;
  }
  std::vector<std::string> words(const char* key) {
    std::vector<std::string> out;
    for (const Json& value : list(key)) {
      if (!value.is_string()) refuse();
      out.push_back(value.get<std::string>());
    }
    return out;
  }

 private:
  Json list(const char* key) {
    Json found = parse_json<Json>(word(key));
    if (!found.is_array()) refuse();
    return found;
  }
  static double number_of(const Json& value, double least, double most) {
    if (!value.is_number()) refuse();
    const auto number = value.get<double>();
    if (!(number >= least && number <= most)) refuse();
    return number;
  }

  const std::map<std::string, std::string>& metadata_;
  std::string asked_;
};

}  // namespace

std::map<std::string, std::string> WeightsRecord::metadata() const {
  Json json = {{"kind", model.kind}};
  if (model.kind == "vit") {
    for (const auto& [key, member, most] : kRecordDimensions) json[key] = model.vit.*member;
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
    out[kRecordPrefix + key] =
        value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return out;
}

std::optional<WeightsRecord> WeightsRecord::parse(const std::map<std::string, std::string>& metadata,
                                                  const std::string& where) {
  if (!metadata.contains(std::string(kRecordPrefix) + "kind")) return std::nullopt;
  RecordFields in(metadata);
  try {
    WeightsRecord out;
    out.model.kind = in.word("kind");
    if (out.model.kind == "vit") {
      out.model.vit.arch.clear();
      for (const auto& [key, member, most] : kRecordDimensions) out.model.vit.*member = in.integer<int>(key, 1, most);
    } else if (out.model.kind == "resnet") {
      out.model.arch = in.word("arch");
      out.model.width = in.integer<std::uint32_t>("width", 1, kMaxRecordWidth);
    } else {
      in.refuse();
    }
    out.size = in.integer<std::uint32_t>("size", 1, kMaxRecordSize);
    out.mean = in.colours("mean", 0, 1);
    out.stddev = in.colours("std", 1e-6, 1e6);
    out.crop_pct = in.number("crop_pct", 0, 1);
    out.decoding.apply_orientation = in.switched("exif_orientation", "ignore", "apply");
    out.decoding.scale_grey16 = in.switched("grey16", "clip", "scale");
    out.precision = in.word("precision");
    out.class_count = in.integer<std::uint64_t>("class_count", 1, kMaxRecordClasses);
    out.classes = in.words("classes");
    if (!out.classes.empty() && out.classes.size() != out.class_count) in.refuse();
    out.step = in.integer<std::uint64_t>("step", 0, std::numeric_limits<std::uint64_t>::max());
    out.selection = in.word("selection");
    if (in.has("score")) out.score = in.number("score", 0, 1);
    return out;
  } catch (const RecordRefused&) {
  }
  throw Error(ErrorKind::kCorrupt, {.path = where,
                                    .what = text("its metadata \"", in.asked(), "\" is missing or makes no sense"),
                                    .remedy = "copy or make the file again"});
}

}  // namespace vitrine
