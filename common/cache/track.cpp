#include "common/cache/track.h"

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/codec/frame.h"

namespace vitrine {
namespace {

constexpr const char* kFormat = "vitrine track";
constexpr int kVersion = 1;

bool is_hash(const std::string& word) {
  return word.size() == 64 && word.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool is_kind(const std::string& word) {
  return word == "logits" || word == "features" || word == "attention";
}

// The form's settings, those alone that it has: caches of forms without any stay as they were.
nlohmann::ordered_json codec_json(const CodecSettings& codec) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  if (codec.max_error != 0) out["max_error"] = codec.max_error;
  if (codec.kept != 0) out["kept"] = codec.kept;
  if (!codec.temperatures.empty()) out["temperatures"] = codec.temperatures;
  if (!codec.basis.empty()) out["basis"] = codec.basis;
  return out;
}

template <class Integer>
Integer integer(const nlohmann::json& value, const char* key, const std::string& where) {
  const auto number = integer_of<Integer>(value);
  if (!number)
    throw Error(ErrorKind::kCorrupt, {.path = where,
                                      .what = text(key, " = ", value.dump(), " is not allowed"),
                                      .remedy = "expected an integer"});
  return *number;
}

// Throws json's exceptions for other types.
void read_codec(const nlohmann::json& in, CodecSettings& codec, const std::string& where) {
  for (const auto& [key, value] : in.items()) {
    if (key == "max_error") {
      codec.max_error = value.get<double>();
    } else if (key == "kept") {
      codec.kept = integer<std::uint32_t>(value, "codec.kept", where);
    } else if (key == "temperatures") {
      codec.temperatures = value.get<std::vector<double>>();
    } else if (key == "basis") {
      codec.basis = value.get<std::string>();
    } else {
      throw Error(ErrorKind::kNewer,
                  {.path = where,
                   .what = text("codec.", key, " is a setting that this program does not know"),
                   .remedy = "use a newer vitrine"});
    }
  }
}

}  // namespace

std::string TrackInfo::name() const {
  return block < 0 ? kind : text(kind, '.', block);
}

std::string TrackInfo::directory() const {
  return teacher + '.' + weights_sha256.substr(0, 8) + '/' + name();
}

std::size_t TrackInfo::view_values() const {
  return vitrine::view_values(shape);
}

void TrackInfo::check(const std::string& where) const {
  const auto refuse = [&](const std::string& what, const std::string& expected) {
    throw Error(ErrorKind::kInput, {.path = where, .what = what, .remedy = expected});
  };
  // The name becomes a directory's, so that a separator or a leading dot must not pass.
  if (teacher.empty() || teacher.size() > 200 || teacher.front() == '.' ||
      teacher.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") !=
          std::string::npos)
    refuse(text("\"", teacher, "\" cannot name a teacher"), "expected letters, digits, '_', '-' and '.'");
  if (!is_hash(weights_sha256) || !is_hash(plan_hash))
    refuse("a hash of weights or plan is not SHA-256", "expected 64 hexadecimal digits");
  if (!is_kind(kind))
    refuse(text("\"", kind, "\" is no kind of track"), "expected logits, features or attention");
  if ((kind == "logits") != (block == -1) || block < -1)
    refuse(text("block ", block, " does not fit ", kind), "expected -1 for logits and a block from 0 for others");
  if (shape.size() != (kind == "logits" ? 1u : 3u))
    refuse(text("a shape of ", shape.size(), " axes does not fit ", kind), "expected [K] for logits, else three");
  std::uint64_t values = 1;
  const bool few = codec.form == Form::kTopk;  // of many classes, few are stored
  for (const std::uint32_t axis : shape) {
    if (axis == 0 || (axis > (1u << 24) && !few))
      refuse(text("a shape with an axis of ", axis, " is not possible"), "");
    values *= axis;
    if (values > (1u << 28) && !few) refuse("a view of over 2^28 values is not possible", "");
  }
  codec.check(shape, where);
  if (!is_level(compression.level))
    refuse(text("zstd level ", compression.level, " is not allowed"),
           text("expected from 1 to ", kHighestLevel, ", or from ", kLowestLevel,
                " to -1, which read faster and hardly compress"));
  if (!is_window(compression.window_log))
    refuse(text("a zstd window of 2^", compression.window_log, " bytes is not allowed"),
           text("expected from ", kLowestWindow, " to ", kHighestWindow, ", or 0 for the level's own"));
}

std::string TrackInfo::json() const {
  nlohmann::ordered_json out;
  out["format"] = kFormat;
  out["version"] = kVersion;
  out["teacher"] = teacher;
  out["weights_sha256"] = weights_sha256;
  out["kind"] = kind;
  out["block"] = block;
  out["normalised"] = normalised;
  out["shape"] = shape;
  out["form"] = form_name(codec.form);
  if (const auto settings = codec_json(codec); !settings.empty()) out["codec"] = settings;
  out["level"] = compression.level;
  if (compression.window_log != 0) out["window"] = compression.window_log;
  out["plan"] = plan_hash;
  out["provenance"] = provenance;
  try {
    return out.dump(2) + "\n";
  } catch (const nlohmann::json::exception&) {
    fail("track ", directory(), ": a provenance text is not UTF-8; expected plain words");
  }
}

TrackInfo TrackInfo::from_json(const std::string& json, const std::string& where) {
  constexpr const char* kDamaged = "the file is damaged, copy or make it again";
  const auto in = parse_json(json);
  if (!in.is_object() || in.value("format", nlohmann::json()) != kFormat)
    throw Error(ErrorKind::kCorrupt,
                {.path = where,
                 .what = text("is not a track's, which is an object with \"format\": \"", kFormat, "\""),
                 .remedy = kDamaged});
  expect_version(in, kVersion, where);
  TrackInfo track;
  try {
    track.teacher = in.at("teacher").get<std::string>();
    track.weights_sha256 = in.at("weights_sha256").get<std::string>();
    track.kind = in.at("kind").get<std::string>();
    if (!is_kind(track.kind))
      throw Error(ErrorKind::kNewer, {.path = where,
                                      .what = text("\"", track.kind, "\" is no kind of track that this program knows"),
                                      .remedy = "use a newer vitrine"});
    track.block = integer<int>(in.at("block"), "block", where);
    track.normalised = in.at("normalised").get<bool>();
    for (const auto& axis : in.at("shape"))
      track.shape.push_back(integer<std::uint32_t>(axis, "an axis of shape", where));
    const auto form = in.at("form").get<std::string>();
    track.codec.form = read_as(ErrorKind::kNewer, [&] { return form_from_name(form, where); });
    read_codec(in.value("codec", nlohmann::json::object()), track.codec, where);
    track.compression = {integer<int>(in.at("level"), "level", where),
                         in.contains("window") ? integer<int>(in["window"], "window", where) : 0};
    track.plan_hash = in.at("plan").get<std::string>();
    track.provenance = in.at("provenance").get<std::map<std::string, std::string>>();
  } catch (const nlohmann::json::exception& problem) {
    throw Error(ErrorKind::kCorrupt,
                {.path = where, .what = text("cannot be read (", problem.what(), ")"), .remedy = kDamaged});
  }
  read_as(ErrorKind::kCorrupt, [&] { track.check(where); });
  return track;
}

}  // namespace vitrine
