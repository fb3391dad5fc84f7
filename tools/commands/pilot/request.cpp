#include "tools/commands/pilot/request.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <variant>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/paths.h"
#include "common/config/config.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// A name that a configuration may not have, as its teacher's folder would be the pictures'.
constexpr const char* kImages = "images";

// Keys of an extraction that the pilot sets, and those that no result depends on.
constexpr std::array kNotRecorded = {"images", "unlabelled",   "cache",       "part",          "first_pass",
                                     "passes", "allow_chance", "allow_mixed", "verify_images", "workers"};

void make_absolute(std::string& path) {
  path = path_from_root(path).string();  // "photos" and "photos/" are the same
}

void check_teacher(const PilotTeacher& teacher) {
  const auto refuse = [&](const std::string& what, const std::string& remedy) {
    throw Error(ErrorKind::kInput, {.path = teacher.config, .what = what, .remedy = remedy});
  };
  const ExtractOptions& options = teacher.options;
  const std::string& file = options.teacher.file();
  if (options.images.empty()) refuse("names no images", "set images to a folder of class folders");
  if (options.labels == Labels::kNone)
    refuse("labels = \"none\", but students are scored on labelled images", "set images to a folder of class folders");
  if (file.empty()) refuse("names no teacher", "set teacher.weights or teacher.module");
  if (!path_exists(file)) refuse("the teacher " + file + " does not exist", "correct the path");
  if (options.teacher.weights.empty() && !options.teacher.allow_module)
    refuse("teacher.module is code", "add --allow module to run it");
}

// Different pictures would make different students of the same teacher.
void check_alike(const PilotTeacher& first, const PilotTeacher& other) {
  const ExtractOptions &a = first.options, &b = other.options;
  if (a.images != b.images && !same_file(a.images, b.images))
    fail(first.config, " and ", other.config, " name different images (", a.images, " and ", b.images,
         "); teachers are compared on the same ones");
  if (a.hold_out != b.hold_out || !(a.decoding == b.decoding))
    fail(first.config, " and ", other.config,
         " differ in hold_out, exif_orientation or grey16; teachers are compared on the same images");
}

void choose_batches(std::vector<PilotTeacher>& teachers) {
  const auto group = [](const PilotTeacher& teacher) { return teacher.options.plan.group; };
  const std::uint32_t least = group(*std::ranges::min_element(teachers, {}, group));
  const bool fits_all =
      std::ranges::all_of(teachers, [&](const PilotTeacher& teacher) { return group(teacher) % least == 0; });
  for (PilotTeacher& teacher : teachers) teacher.batch = fits_all ? least : group(teacher);
}

Json as_json(const Field::Value& value) {
  struct Visitor {
    Json operator()(Field::Section) const { return nullptr; }
    Json operator()(bool flag) const { return flag; }
    Json operator()(std::int64_t number) const { return number; }
    Json operator()(double number) const { return number; }
    Json operator()(const std::string& words) const { return words; }
    Json operator()(const std::vector<std::string>& words) const { return words; }
    Json operator()(const std::vector<std::int64_t>& numbers) const { return numbers; }
    Json operator()(const std::vector<double>& numbers) const { return numbers; }
  };
  return std::visit(Visitor{}, value);
}

// The keys that differ from the defaults.
Json settings_of(ExtractOptions options) {
  ExtractOptions usual;
  const Fields given = fields_of(options), defaults = fields_of(usual);
  Json out = Json::object();
  for (const Field& field : given.all()) {
    const Json value = as_json(field.value);
    if (field.is_section() || std::ranges::find(kNotRecorded, field.key) != kNotRecorded.end()) continue;
    if (value != as_json(defaults.find(field.key)->value)) out[field.key] = value;
  }
  return out;
}

}  // namespace

std::vector<PilotTeacher> teachers_of(const PilotRequest& request) {
  std::vector<PilotTeacher> out;
  std::map<std::string, std::string> config_of;
  for (const std::string& config : request.configs) {
    PilotTeacher teacher{.name = fs::path(config).stem().string(), .config = config, .options = {}};
    const auto [known, is_new] = config_of.emplace(teacher.name, config);
    if (!is_new)
      fail(known->second, " and ", config, ": the configurations' file names must differ, as they name the results");
    if (teacher.name == kImages)
      fail(config, ": the folder ", kImages, " is that of the pictures; give the configuration another file name");
    load_config(config, {}, teacher.options);
    ExtractOptions& options = teacher.options;
    options.teacher.allow_module = request.allow_module;
    options.unlabelled.clear();  // students are scored on labelled images
    for (std::string* path : {&options.images, &options.class_map, &options.class_names, &options.teacher.weights,
                              &options.teacher.module, &options.teacher.zero_shot})
      make_absolute(*path);
    check_teacher(teacher);
    out.push_back(std::move(teacher));
  }
  for (const PilotTeacher& teacher : out) check_alike(out.front(), teacher);
  choose_batches(out);
  return out;
}

fs::path teaching_folder(const PilotRequest& request) {
  return path_from_root(request.out) / kImages / "train";
}

fs::path held_out_folder(const PilotRequest& request) {
  return path_from_root(request.out) / kImages / "held_out";
}

ExtractOptions extract_options(const PilotRequest& request, const PilotTeacher& teacher) {
  ExtractOptions out = teacher.options;
  out.images = teaching_folder(request).string();
  out.hold_out = 0;  // already held out of the folder that these pictures are from
  out.cache = (path_from_root(request.out) / teacher.name / "cache").string();
  out.first_pass = 0, out.passes = request.passes;
  out.part = "1/1";
  out.plan.shard_groups = std::max(1u, request.groups / 4);
  out.allow_chance = true;  // the ranking shows it
  out.allow_mixed = request.allow_mixed;
  return out;
}

TrainOptions train_options(const PilotRequest& request, const PilotTeacher& teacher) {
  TrainOptions out;
  out.images = teaching_folder(request).string();
  out.validation = held_out_folder(request).string();
  out.eval_every = std::max(1u, static_cast<std::uint32_t>(request.epochs / 4));
  out.output = (path_from_root(request.out) / teacher.name / "run").string();
  out.size = teacher.options.plan.image_size;
  out.batch = teacher.batch;
  out.seed = request.seed;
  out.model.arch = request.arch;
  out.model.width = request.width;
  out.targets.source = TargetKind::kCache;
  out.targets.cache = extract_options(request, teacher).cache;
  out.targets.class_map = teacher.options.class_map;
  out.targets.class_names = teacher.options.class_names;
  out.schedule.align.epochs = 0;
  out.schedule.joint.epochs = request.epochs;
  out.schedule.fine_tune.epochs = 0;
  const TrainOptions own = out;
  load_config({}, request.overrides, out);
  const auto keep = [](const char* key, const std::string& value, const std::string& wanted) {
    if (value != wanted) fail("--set ", key, ": vitrine pilot itself sets it; leave it out");
  };
  keep("images", out.images, own.images);
  keep("validation", out.validation, own.validation);
  keep("output", out.output, own.output);
  keep("targets.cache", out.targets.cache, own.targets.cache);
  if (out.targets.source != own.targets.source) keep("targets.source", "", "cache");
  if (out.labels == Labels::kNone) keep("labels", "none", "folders");
  return out;
}

RequestRecord record_of(const PilotRequest& request, const std::vector<PilotTeacher>& teachers) {
  Json settings = Json::object();
  for (const PilotTeacher& teacher : teachers) settings[teacher.name] = settings_of(teacher.options);
  return {request.out,
          "pilot",
          {{"images", resolved_path(teachers.front().options.images).string()},
           {"teachers", std::move(settings)},
           {"arch", request.arch},
           {"width", request.width},
           {"groups", request.groups},
           {"passes", request.passes},
           {"held-out", request.held_out},
           {"epochs", request.epochs},
           {"seed", request.seed},
           {"set", request.overrides}}};
}

}  // namespace vitrine
