#include "common/cache/provenance.h"

#include <algorithm>
#include <array>

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/json_fields.h"

namespace vitrine {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFamily = "family";

Json architecture_json(const ArchitectureRecord& architecture) {
  Json out;
  out[kFamily] = architecture.family;
  const Json settings = Json::parse(architecture.settings);
  for (const auto& [key, value] : settings.items()) out[key] = value;
  return out;
}

ArchitectureRecord architecture_of(const JsonFields& in) {
  ArchitectureRecord out;
  out.family = in.words(kFamily);
  nlohmann::json settings = in.json();  // sorted, so that equal settings give equal text
  settings.erase(kFamily);
  out.settings = settings.dump();
  return out;
}

Json size_json(const WeightsSize& size) {
  Json out;
  if (size.image_size != 0) out["image_size"] = size.image_size;
  out["patch"] = size.patch;
  return out;
}

WeightsSize size_of(const JsonFields& in) {
  WeightsSize out;
  if (in.has("image_size")) out.image_size = in.integer<std::uint32_t>("image_size");
  out.patch = in.integer<std::uint32_t>("patch");
  return out;
}

Json codec_json(const CodecSettings& codec) {
  Json out = Json::object();
  if (codec.max_error != 0) out["max_error"] = codec.max_error;
  if (codec.kept != 0) out["kept"] = codec.kept;
  if (!codec.temperatures.empty()) out["temperatures"] = codec.temperatures;
  if (!codec.basis.empty()) out["basis"] = codec.basis;
  return out;
}

void take_codec(const JsonFields& in, CodecSettings& codec) {
  for (const auto& [key, value] : in.json().items()) {
    if (key == "max_error") {
      codec.max_error = in.number("max_error");
    } else if (key == "kept") {
      codec.kept = in.integer<std::uint32_t>("kept");
    } else if (key == "temperatures") {
      codec.temperatures = in.numbers("temperatures");
    } else if (key == "basis") {
      codec.basis = in.words("basis");
    } else {
      throw Error(ErrorKind::kNewer, {.path = in.where(),
                                      .what = text("codec.", key, " is a setting that this program does not know"),
                                      .remedy = "use a newer vitrine"});
    }
  }
}

void take_encoding_of(const JsonFields& in, CodecSettings& codec, Compression& compression) {
  const std::string encoding = in.words("encoding");
  codec.encoding = read_as(ErrorKind::kNewer, [&] { return encoding_from_name(encoding, in.where()); });
  if (in.has("codec")) take_codec(in.object("codec"), codec);
  compression = {in.integer<int>("level"), in.has("window") ? in.integer<int>("window") : 0};
}

void check_colours(const std::vector<double>& colours, const char* key, double least, double most,
                   const std::string& where) {
  if (colours.size() != 3 ||
      std::ranges::any_of(colours, [&](double colour) { return !(colour >= least && colour <= most); }))
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = text("teacher.", key, " = ", Json(colours).dump(), " is not allowed"),
                                    .remedy = text("expected three numbers from ", least, " to ", most)});
}

}  // namespace

bool is_sha256(const std::string& word) {
  return word.size() == 64 && word.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Json to_json(const TeacherRecord& teacher) {
  Json out;
  out["name"] = teacher.name;
  out["weights_sha256"] = teacher.weights_sha256;
  if (teacher.zero_shot) out["zero_shot"] = true;
  out["architecture"] = architecture_json(teacher.architecture);
  if (teacher.resampled_from) out["resampled_from"] = size_json(*teacher.resampled_from);
  out["mean"] = teacher.mean;
  out["std"] = teacher.stddev;
  out["crop_pct"] = teacher.crop_pct;
  out["interpolation"] = teacher.interpolation;
  out["class_list_sha256"] = teacher.class_list_sha256;
  if (!teacher.license.empty()) out["license"] = teacher.license;
  return out;
}

Json to_json(const ComputeRecord& compute) {
  Json device;
  device["kind"] = compute.device.kind;
  device["name"] = compute.device.name;
  device["capability"] = compute.device.capability;
  if (compute.device.kind == "cpu") device["instruction_sets"] = compute.device.instruction_sets;
  Json out;
  out["device"] = std::move(device);
  out["precision"] = compute.precision;
  out["micro_batch"] = compute.micro_batch;
  out["libraries"] = compute.device.libraries;
  return out;
}

void put_encoding(const CodecSettings& codec, const Compression& compression, Json& out) {
  out["encoding"] = encoding_name(codec.encoding);
  if (Json settings = codec_json(codec); !settings.empty()) out["codec"] = std::move(settings);
  out["level"] = compression.level;
  if (compression.window_log != 0) out["window"] = compression.window_log;
}

Json to_json(const EncodingRecord& encoding) {
  if (!encoding.unknown.empty()) return Json::parse(encoding.unknown);
  Json out;
  put_encoding(encoding.codec, encoding.compression, out);
  out["track_sha256"] = encoding.track_sha256;
  return out;
}

TeacherRecord teacher_from_json(const Json& in, const std::string& where) {
  const JsonFields fields(in, where, "teacher.");
  TeacherRecord out;
  out.name = fields.words("name");
  out.weights_sha256 = fields.words("weights_sha256");
  if (fields.has("zero_shot")) out.zero_shot = fields.flag("zero_shot");
  out.architecture = architecture_of(fields.object("architecture"));
  if (fields.has("resampled_from")) out.resampled_from = size_of(fields.object("resampled_from"));
  out.mean = fields.numbers("mean");
  out.stddev = fields.numbers("std");
  out.crop_pct = fields.number("crop_pct");
  out.interpolation = fields.words("interpolation");
  out.class_list_sha256 = fields.words("class_list_sha256");
  if (fields.has("license")) out.license = fields.words("license");
  return out;
}

ComputeRecord compute_from_json(const Json& in, const std::string& where) {
  const JsonFields fields(in, where, "made_with."), device = fields.object("device"),
                                                    libraries = fields.object("libraries");
  ComputeRecord out;
  out.device.kind = device.words("kind");
  out.device.name = device.words("name");
  out.device.capability = device.words("capability");
  if (out.device.kind == "cpu") out.device.instruction_sets = device.list_of_words("instruction_sets");
  out.precision = fields.words("precision");
  out.micro_batch = fields.integer<std::uint32_t>("micro_batch");
  for (const auto& [key, value] : libraries.json().items()) out.device.libraries[key] = libraries.words(key.c_str());
  return out;
}

void take_encoding(const Json& in, const std::string& where, CodecSettings& codec, Compression& compression) {
  take_encoding_of(JsonFields(in, where), codec, compression);
}

EncodingRecord encoding_from_json(const Json& in, const std::string& where) {
  const JsonFields fields(in, where, "recoded_from.");
  EncodingRecord out;
  try {
    take_encoding_of(fields, out.codec, out.compression);
    out.track_sha256 = fields.words("track_sha256");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNewer) throw;
    out = {};
    out.unknown = in.dump();
  }
  return out;
}

void check_teacher(const TeacherRecord& teacher, const std::string& where) {
  // The name becomes a directory name, so separators and a leading dot are rejected.
  if (teacher.name.empty() || teacher.name.size() > 200 || teacher.name.front() == '.' ||
      teacher.name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") !=
          std::string::npos)
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = text("\"", teacher.name, "\" cannot name a teacher"),
                                    .remedy = text("expected letters, digits, '_', '-' and '.'")});
  if (!is_sha256(teacher.weights_sha256) || !is_sha256(teacher.class_list_sha256))
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = text("a hash of the teacher's weights or classes is not SHA-256"),
                                    .remedy = text("expected 64 hexadecimal digits")});
  check_colours(teacher.mean, "mean", 0, 1, where);
  check_colours(teacher.stddev, "std", 1e-6, 1e6, where);
  if (!(teacher.crop_pct > 0 && teacher.crop_pct <= 1))
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = text("teacher.crop_pct = ", teacher.crop_pct, " is not allowed"),
                                    .remedy = text("expected a number above 0, up to 1")});
}

void check_compute(const ComputeRecord& compute, const std::string& where) {
  if (compute.device.kind.empty() || compute.precision.empty())
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = text("made_with has no device kind or no precision"),
                                    .remedy = text("expected for instance \"cpu\" and \"fp32\"")});
  if (compute.micro_batch == 0)
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = text("made_with.micro_batch = 0 is not allowed"),
                                    .remedy = text("expected an integer from 1")});
}

std::vector<JsonDifference> differences(const TeacherRecord& recorded, const TeacherRecord& given) {
  return json_differences(to_json(recorded), to_json(given));
}

std::vector<JsonDifference> differences(const ComputeRecord& recorded, const ComputeRecord& given) {
  return json_differences(to_json(recorded), to_json(given));
}

}  // namespace vitrine
