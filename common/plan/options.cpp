// PlanOptions: ranges, and the way to and from plan.json. All three go through PlanOptions::fields, the one list of
// fields.
#include <cmath>
#include <set>
#include <stdexcept>

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/plan/options_json.h"

namespace vitrine {

void PlanOptions::fields(Fields& f) {
  f.integer("seed", seed, "names one of the many possible plans");
  f.integer("group", group, "views that are stored, read and mixed together; even", {2, 65536});
  f.integer("shard_groups", shard_groups, "groups in a file", {1, 65536});
  f.integer("image_size", image_size, "side of the teacher's pictures in pixels", {1, 65535});
  f.number("min_area", min_area, "smallest crop, as a share of the image's area", {0, 1});
  f.number("max_area", max_area, "largest crop, as a share of the image's area", {0, 1});
  f.number("min_ratio", min_ratio, "smallest width / height of a crop", {0.01, 100});
  f.number("max_ratio", max_ratio, "largest width / height of a crop", {0.01, 100});
  f.number("flip", flip, "probability of mirroring a view", {0, 1});
  f.number("mix_probability", mix_probability, "probability of mixing a view with its partner", {0, 1});
  f.number("switch_probability", switch_probability, "probability of CutMix rather than MixUp where both are on",
           {0, 1});
  f.number("mixup_alpha", mixup_alpha, "MixUp's share is drawn from Beta(alpha, alpha); 0 turns MixUp off", {0, 1000});
  f.number("cutmix_alpha", cutmix_alpha, "CutMix's share is drawn from Beta(alpha, alpha); 0 turns CutMix off",
           {0, 1000});
}

namespace {

constexpr const char* kDamaged = "the file is damaged or no plan.json";

[[noreturn]] void refuse(ErrorKind kind, const std::string& where, const std::string& what, const std::string& remedy) {
  throw Error(kind, {.path = where, .what = what, .remedy = remedy});
}

// A visitor for structs of numbers; a plan has no others.
class NumberFields : public Fields {
 protected:
  [[noreturn]] static void none(const char* key) {
    throw std::logic_error(vitrine::text("plan field ", key, " is not a number"));
  }
  void visit_bool(const char* key, bool&, const char*) override { none(key); }
  void visit_string(const char* key, std::string&, const char*, const std::vector<std::string>&) override { none(key); }
  void visit_strings(const char* key, std::vector<std::string>&, const char*) override { none(key); }
  void visit_integers(const char* key, std::vector<std::int64_t>&, const char*, Range) override { none(key); }
  void visit_doubles(const char* key, std::vector<double>&, const char*, Range) override { none(key); }
  bool enter(const char* key, const char*) override { none(key); }
  void leave() override {}
};

template <class Value>
void check_range(const std::string& where, const char* key, Value value, Range range) {
  const auto number = static_cast<double>(value);
  if (!(number >= range.low && number <= range.high))
    refuse(ErrorKind::kInput, where, text(key, " = ", value, " is not allowed"),
           text("expected a number from ", range.low, " to ", range.high));
}

class RangeCheck : public NumberFields {
 public:
  explicit RangeCheck(const std::string& where) : where_(where) {}

 protected:
  void visit_integer(const char* key, std::int64_t& value, const char*, Range range) override {
    check_range(where_, key, value, range);
  }
  void visit_double(const char* key, double& value, const char*, Range range) override {
    check_range(where_, key, value, range);
  }

 private:
  const std::string& where_;
};

class JsonPrinter : public NumberFields {
 public:
  explicit JsonPrinter(nlohmann::ordered_json& json) : json_(json) {}

 protected:
  void visit_integer(const char* key, std::int64_t& value, const char*, Range) override { json_[key] = value; }
  void visit_double(const char* key, double& value, const char*, Range) override { json_[key] = value; }

 private:
  nlohmann::ordered_json& json_;
};

class JsonReader : public NumberFields {
 public:
  JsonReader(const nlohmann::ordered_json& json, const std::string& where) : json_(json), where_(where) {}
  void refuse_unknown() const {
    for (const auto& [key, value] : json_.items())
      if (!known_.contains(key))
        refuse(ErrorKind::kNewer, where_, "unknown setting " + key, "the plan was made by another version of vitrine");
  }

 protected:
  void visit_integer(const char* key, std::int64_t& value, const char*, Range range) override {
    const auto& node = find(key);
    const auto number = integer_of<std::int64_t>(node);
    if (!number)
      refuse(ErrorKind::kCorrupt, where_, vitrine::text("settings.", key, " = ", node.dump(), " is not allowed"),
             "expected an integer");
    value = *number;
    // Before the field's own type cuts it.
    read_as(ErrorKind::kCorrupt, [&] { check_range(where_, key, value, range); });
  }
  void visit_double(const char* key, double& value, const char*, Range) override {
    const auto& node = find(key);
    if (!node.is_number())
      refuse(ErrorKind::kCorrupt, where_, vitrine::text("settings.", key, " = ", node.dump(), " is not allowed"),
             "expected a number");
    value = node.get<double>();
  }

 private:
  const nlohmann::ordered_json& find(const char* key) {
    known_.insert(key);
    const auto found = json_.find(key);
    if (found == json_.end())
      refuse(ErrorKind::kCorrupt, where_, vitrine::text("settings.", key, " is missing"), kDamaged);
    return *found;
  }
  const nlohmann::ordered_json& json_;
  const std::string& where_;
  std::set<std::string> known_;
};

// Below this Beta's two gammas can both underflow, and there is nothing between 0 and 1 left to draw.
constexpr double kLeastAlpha = 0.05;

}  // namespace

void check_plan_options(const PlanOptions& options, const std::string& where) {
  PlanOptions checked = options;
  RangeCheck ranges(where);
  checked.fields(ranges);
  const auto not_allowed = [&](const std::string& what, const std::string& remedy) {
    refuse(ErrorKind::kInput, where, what, remedy);
  };
  if (options.group % 2 != 0)
    not_allowed(text("group = ", options.group, " is not allowed"),
                "expected an even number, so that each view has a partner");
  if (options.min_area > options.max_area || options.max_area == 0)
    not_allowed(text("min_area = ", options.min_area, " and max_area = ", options.max_area, " are not allowed"),
                "expected min_area at most max_area, and max_area above 0");
  if (options.min_ratio > options.max_ratio)
    not_allowed(text("min_ratio = ", options.min_ratio, " is above max_ratio = ", options.max_ratio), "exchange them");
  for (const auto& [key, alpha] :
       {std::pair{"mixup_alpha", options.mixup_alpha}, std::pair{"cutmix_alpha", options.cutmix_alpha}})
    if (alpha > 0 && alpha < kLeastAlpha)
      not_allowed(text(key, " = ", alpha, " is not allowed"), text("expected 0 (off) or at least ", kLeastAlpha));
  if (options.mix_probability > 0 && options.mixup_alpha == 0 && options.cutmix_alpha == 0)
    not_allowed(text("mix_probability = ", options.mix_probability, " needs mixup_alpha or cutmix_alpha above 0"),
                "set mix_probability to 0 for views without mixing");
}

std::string plan_json(const PlanOptions& options, const ImageIndex& index) {
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();
  JsonPrinter printer(settings);
  PlanOptions copy = options;
  copy.fields(printer);
  nlohmann::ordered_json json;
  json["format"] = kPlanFormat;
  json["version"] = kPlanVersion;
  json["images"] = index.images.size();
  json["classes"] = index.classes.size();
  json["index"] = index.hash();
  json["settings"] = std::move(settings);
  return json.dump(2) + "\n";
}

PlanOptions plan_options_from_json(const std::string& text_of_plan, const std::string& where) {
  const auto json = parse_json<nlohmann::ordered_json>(text_of_plan);
  if (json.is_discarded()) refuse(ErrorKind::kCorrupt, where, "is not valid JSON", kDamaged);
  if (!json.is_object() || !json.contains("format") || json["format"] != kPlanFormat)
    refuse(ErrorKind::kCorrupt, where, text("is not a plan, which is an object with \"format\": \"", kPlanFormat, "\""),
           kDamaged);
  check_format_version(json, where);
  if (!json.contains("settings") || !json["settings"].is_object())
    refuse(ErrorKind::kCorrupt, where, "has no settings", kDamaged);
  PlanOptions options;
  JsonReader reader(json["settings"], where);
  options.fields(reader);
  reader.refuse_unknown();
  read_as(ErrorKind::kCorrupt, [&] { check_plan_options(options, where); });
  return options;
}

}  // namespace vitrine
