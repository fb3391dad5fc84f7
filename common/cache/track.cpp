#include "common/cache/track.h"

#include <string_view>

#include "common/base/error.h"
#include "common/base/format_version.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/cache/json_fields.h"
#include "common/codec/frame.h"

namespace vitrine {
namespace {

constexpr const char* kFormat = "vitrine track";

bool is_kind(const std::string& word) {
  return word == "logits" || word == "features" || word == "attention";
}

nlohmann::ordered_json json_of(const TrackInfo& track) {
  nlohmann::ordered_json out;
  out["format"] = kFormat;
  out["version"] = kFormatMajor;
  out["teacher"] = to_json(track.teacher);
  out["kind"] = track.kind;
  out["block"] = track.block;
  out["normalised"] = track.normalised;
  if (track.kind == "attention") out["heads"] = {{"kept", track.heads}, {"mean", track.heads_mean}};
  out["shape"] = track.shape;
  put_encoding(track.codec, track.compression, out);
  out["plan"] = track.plan_hash;
  out["made_with"] = to_json(track.made_with);
  for (const EncodingRecord& encoding : track.recoded_from) out["recoded_from"].push_back(to_json(encoding));
  if (track.calibration_views != 0) out["calibration_views"] = track.calibration_views;
  return out;
}

TrackInfo track_of(const JsonFields& in) {
  TrackInfo track;
  track.teacher = teacher_from_json(in.at("teacher"), in.where());
  track.kind = in.words("kind");
  track.block = in.integer<int>("block");
  track.normalised = in.flag("normalised");
  if (track.kind == "attention") {
    const JsonFields heads = in.object("heads");
    track.heads = heads.integers<int>("kept", "kept");
    track.heads_mean = heads.flag("mean");
  }
  track.shape = in.integers<std::uint32_t>("shape", "an axis of shape");
  take_encoding(in.json(), in.where(), track.codec, track.compression);
  track.plan_hash = in.words("plan");
  track.made_with = compute_from_json(in.at("made_with"), in.where());
  if (in.has("recoded_from"))
    for (const auto& encoding : in.array("recoded_from"))
      track.recoded_from.push_back(encoding_from_json(encoding, in.where()));
  if (in.has("calibration_views")) track.calibration_views = in.integer<std::uint64_t>("calibration_views");
  return track;
}

void check_heads(const TrackInfo& track, const std::string& where) {
  for (const int head : track.heads)
    if (head < 0 || track.kind != "attention")
      throw Error(ErrorKind::kInput, {.path = where,
                                      .what = text("heads.kept names head ", head),
                                      .remedy = text("expected heads from 0, of an attention track")});
}

constexpr std::string_view kObjectEnd = "\n}\n";

std::string check_lines(const std::string& json) {
  return text(",\n  \"check\": \"", hexadecimal(xxh3(std::string_view(json))), "\"", kObjectEnd);
}

bool has_right_check(const std::string& file) {
  const std::size_t bytes = check_lines("").size();
  if (file.size() < bytes) return false;
  const std::string json = file.substr(0, file.size() - bytes) + std::string(kObjectEnd);
  return file.ends_with(check_lines(json));
}

// Whether the check is right for this program's version in place of the one that the text has: proof that the number
// alone was changed, in a file of this version.
bool is_whole_with_own_version(std::string file) {
  constexpr std::string_view kKey = "\n  \"version\": ";
  const std::size_t key = file.find(kKey);
  if (key == std::string::npos) return false;
  const std::size_t number = key + kKey.size(), end = file.find_first_of(",\n", number);
  if (end == std::string::npos) return false;
  return has_right_check(file.replace(number, end - number, std::to_string(kFormatMajor)));
}

}  // namespace

std::string with_check(const std::string& json) {
  return json.substr(0, json.size() - kObjectEnd.size()) + check_lines(json);
}

std::string TrackInfo::file_text() const {
  return with_check(json());
}

std::string TrackInfo::name() const {
  return block < 0 ? kind : text(kind, '.', block);
}

std::string TrackInfo::directory() const {
  return teacher.name + '.' + teacher.weights_sha256.substr(0, 8) + '/' + name();
}

std::size_t TrackInfo::view_values() const {
  return vitrine::view_values(shape);
}

void TrackInfo::check(const std::string& where) const {
  const auto refuse = [&](const std::string& what, const std::string& expected) {
    throw Error(ErrorKind::kInput, {.path = where, .what = what, .remedy = expected});
  };
  check_teacher(teacher, where);
  if (!is_sha256(plan_hash)) refuse("the plan's hash is not SHA-256", "expected 64 hexadecimal digits");
  if (!is_kind(kind)) refuse(text("unknown kind of track \"", kind, '"'), "expected logits, features or attention");
  if ((kind == "logits") != (block == -1) || block < -1)
    refuse(text("block ", block, " does not fit ", kind), "expected -1 for logits and a block from 0 for others");
  if (shape.size() != (kind == "logits" ? 1u : 3u))
    refuse(text("a shape of ", shape.size(), " axes does not fit ", kind), "expected [K] for logits, else three");
  std::uint64_t values = 1;
  const bool few = codec.encoding == Encoding::kTopk;  // of many classes, few are stored
  for (const std::uint32_t axis : shape) {
    if (axis == 0 || (axis > (1u << 24) && !few))
      refuse(text("a shape with an axis of ", axis, " is not possible"), "");
    values *= axis;
    if (values > (1u << 28) && !few) refuse("a view of over 2^28 values is not possible", "");
  }
  check_heads(*this, where);
  codec.check(shape, where);
  check_compute(made_with, where);
  for (const EncodingRecord& encoding : recoded_from) {
    if (!encoding.unknown.empty()) continue;
    encoding.codec.check(shape, where + ": recoded_from");
    if (!is_sha256(encoding.track_sha256))
      throw Error(ErrorKind::kInput, {.path = where,
                                      .what = text("recoded_from: track_sha256 is not SHA-256"),
                                      .remedy = text("expected 64 hexadecimal digits")});
  }
  if (!is_level(compression.level))
    refuse(text("zstd level ", compression.level, " is not allowed"),
           text("expected from 1 to ", kMaxLevel, ", or from ", kMinLevel,
                " to -1, which read faster and hardly compress"));
  if (!is_window(compression.window_log))
    refuse(text("a zstd window of 2^", compression.window_log, " bytes is not allowed"),
           text("expected from ", kMinWindow, " to ", kMaxWindow, ", or 0 for the level's own"));
}

std::string TrackInfo::json() const {
  try {
    return json_of(*this).dump(2) + "\n";
  } catch (const nlohmann::json::exception&) {
    fail("track ", directory(), ": a name in its provenance is not UTF-8; expected plain words");
  }
}

TrackInfo TrackInfo::from_json(const nlohmann::ordered_json& json, const std::string& where) {
  if (!json.is_object() || json.value("format", nlohmann::ordered_json()) != kFormat)
    throw Error(ErrorKind::kCorrupt,
                {.path = where,
                 .what = text("is not a track's, which is an object with \"format\": \"", kFormat, "\""),
                 .remedy = "the file is damaged, copy or make it again"});
  check_format_version(json, where);
  TrackInfo track = track_of(JsonFields(json, where));
  if (!is_kind(track.kind))
    throw Error(
        ErrorKind::kNewer,
        {.path = where, .what = text("unknown kind of track \"", track.kind, '"'), .remedy = "use a newer vitrine"});
  read_as(ErrorKind::kCorrupt, [&] { track.check(where); });
  return track;
}

TrackInfo TrackInfo::from_json(const std::string& json, const std::string& where) {
  return from_json(parse_json<nlohmann::ordered_json>(json), where);
}

TrackInfo TrackInfo::from_file_text(const std::string& text, const std::string& where) {
  const auto json = parse_json<nlohmann::ordered_json>(text);
  const bool is_track = json.is_object() && json.value("format", nlohmann::ordered_json()) == kFormat;
  // A version that this program does not know may be one without such a check.
  const bool is_own = is_track && json.value("version", nlohmann::ordered_json()) == kFormatMajor;
  if (is_track && !has_right_check(text) && (is_own || is_whole_with_own_version(text)))
    throw Error(ErrorKind::kCorrupt, {.path = where,
                                      .what = "its check is missing or wrong",
                                      .remedy = "the file is damaged or was edited, copy or make it again"});
  return from_json(json, where);
}

std::vector<JsonDifference> differences(const TrackInfo& there, const TrackInfo& here) {
  return json_differences(json_of(there), json_of(here));
}

}  // namespace vitrine
