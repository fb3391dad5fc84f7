#include "common/cache/track.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>

#include "common/base/error.h"
#include "common/base/format_version.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/base/json_fields.h"
#include "common/cache/container.h"
#include "common/cache/damaged.h"
#include "common/codec/codec.h"
#include "common/codec/make_codec.h"
#include "common/codec/frame.h"
#include "common/codec/transform/basis.h"

namespace vitrine {

namespace {

constexpr const char* kTrackFormat = "vitrine track";

bool is_kind(const std::string& word) {
  return word == "logits" || word == "embedding" || word == "features" || word == "attention";
}

nlohmann::ordered_json json_of(const TrackInfo& track) {
  nlohmann::ordered_json out;
  out["format"] = kTrackFormat;
  out["version"] = kFormatMajor;
  out["teacher"] = to_json(track.teacher);
  out["kind"] = track.kind;
  out["block"] = track.block;
  out["normalised"] = track.normalised;
  if (track.kind == "attention") out["heads"] = {{"kept", track.heads}, {"mean", track.heads_mean}};
  if (track.rollout) out["heads"]["rollout"] = true;
  out["shape"] = track.shape;
  put_encoding(track.codec, track.compression, out);
  out["plan"] = track.plan_hash;
  if (!track.class_names_sha256.empty()) out["class_names_sha256"] = track.class_names_sha256;
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
    track.rollout = heads.has("rollout") && heads.flag("rollout");
  }
  track.shape = in.integers<std::uint32_t>("shape", "an axis of shape");
  take_encoding(in.json(), in.where(), track.codec, track.compression);
  track.plan_hash = in.words("plan");
  if (in.has("class_names_sha256")) track.class_names_sha256 = in.words("class_names_sha256");
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
  if (track.rollout && (track.kind != "attention" || !track.heads_mean || !track.heads.empty()))
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = "heads.rollout does not fit the other heads",
                                    .remedy = "expected the mean over all heads, of an attention track"});
}

constexpr std::string_view kObjectEnd = "\n}\n";

std::string check_lines(const std::string& json) {
  return text(",\n  \"check\": \"", hexadecimal(xxh3(std::string_view(json))), "\"", kObjectEnd);
}

// Whether the check is right with this program's version number in the text, which proves that only the number was
// changed in a file of this version.
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

bool has_right_check(const std::string& file_text) {
  const std::size_t bytes = check_lines("").size();
  if (file_text.size() < bytes) return false;
  const std::string json = file_text.substr(0, file_text.size() - bytes) + std::string(kObjectEnd);
  return file_text.ends_with(check_lines(json));
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
  if (!class_names_sha256.empty() && !is_sha256(class_names_sha256))
    refuse("class_names_sha256 is not SHA-256", "expected 64 hexadecimal digits");
  if (!class_names_sha256.empty() && kind != "logits")
    refuse(text("class_names_sha256 does not fit ", kind), "expected it of logits only");
  const bool of_block = kind == "features" || kind == "attention";
  if (of_block != (block >= 0) || block < -1)
    refuse(text("block ", block, " does not fit ", kind),
           "expected -1 for logits and embedding, and a block from 0 for others");
  if (shape.size() != (of_block ? 3u : 1u))
    refuse(text("a shape of ", shape.size(), " axes does not fit ", kind),
           "expected one axis for logits and embedding, else three");
  std::uint64_t values = 1;
  const bool few = codec.encoding == Encoding::kTopk;  // stores few of many classes
  for (const std::uint32_t axis : shape) {
    if (axis == 0 || (axis > (1u << 24) && !few))
      refuse(text("a shape with an axis of ", axis, " is not possible"), "");
    values *= axis;
    if (values > (1u << 28) && !few) refuse("a view of more than 2^28 values is not allowed", "");
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
    fail("track ", directory(), ": a name in its provenance is not UTF-8; rename it");
  }
}

TrackInfo TrackInfo::from_json(const nlohmann::ordered_json& json, const std::string& where) {
  if (!json.is_object() || json.value("format", nlohmann::ordered_json()) != kTrackFormat)
    throw Error(ErrorKind::kCorrupt,
                {.path = where,
                 .what = text("is not a track.json, which is an object with \"format\": \"", kTrackFormat, "\""),
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
  const bool is_track = json.is_object() && json.value("format", nlohmann::ordered_json()) == kTrackFormat;
  // Other versions may not have this check.
  const bool is_own = is_track && json.value("version", nlohmann::ordered_json()) == kFormatMajor;
  if (is_track && !has_right_check(text) && (is_own || is_whole_with_own_version(text)))
    throw Error(ErrorKind::kCorrupt, {.path = where,
                                      .what = "its check is missing or wrong",
                                      .remedy = "the file is damaged or was edited, copy or make it again"});
  return from_json(json, where);
}

std::vector<JsonDifference> differences(const TrackInfo& recorded, const TrackInfo& given) {
  return json_differences(json_of(recorded), json_of(given));
}

void expect_track(const Container& container, const nlohmann::ordered_json& json, const TrackInfo& expected) {
  const auto copy = json.find("track");
  if (copy == json.end() || !copy->is_object())
    throw Error(ErrorKind::kCorrupt, {.path = container.path().string(),
                                      .what = "has no copy of its track.json",
                                      .remedy = "the file is damaged, copy or make it again"});
  const TrackInfo track = TrackInfo::from_json(*copy, container.path().string());
  std::string words;
  for (const JsonDifference& difference : differences(track, expected))
    words += text(words.empty() ? "" : ", ", "track.", difference.key, " ", difference.recorded, ", expected ",
                  difference.given);
  if (words.empty()) return;
  throw Error(ErrorKind::kInput,
              {.path = container.path().string(), .what = text("has ", words), .remedy = kElsewhere});
}

namespace {

constexpr std::uint64_t kKinds = 40, kPlanes = 15;  // of the basis's levels
constexpr const char* kDroppedDataset = "offsets";  // in bases of payload versions up to 2

template <class Number>
std::vector<Number> get(const Container& file, Container::Scratch& scratch, const char* name, const char* dtype,
                        const std::vector<std::uint64_t>& shape) {
  expect_dataset(file, name, dtype, shape, static_cast<std::uint32_t>(shape[0]));
  const std::vector<std::byte> bytes = file.read_all(file.find(name), scratch);
  std::vector<Number> numbers(bytes.size() / sizeof(Number));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

}  // namespace

std::filesystem::path basis_path(const TrackInfo& track) {
  return std::filesystem::path(track.directory()) / "basis.h5";
}

FeatureBasis read_basis(const std::filesystem::path& path) {
  const Container file(path);
  Container::Scratch scratch;
  const auto json = attributes(file, kBasisFormat);
  check_format_version(json, path.string());
  FeatureBasis basis;
  std::string hash;
  bool spatial = false;
  try {
    hash = json.at("hash").get<std::string>();
    const auto axis = [&json, &path](const char* key) {
      const auto length = integer_of<std::uint32_t>(json.at(key));
      if (!length || *length < 1 || *length > (1u << 24))
        fail_damaged(path, text("has an impossible ", key), "copy it again");
      return *length;
    };
    basis.channels = axis("channels"), basis.height = axis("height"), basis.width = axis("width");
    const auto views = integer_of<std::uint64_t>(json.at("views"));
    if (!views) fail_damaged(path, "has an impossible number of views", "copy it again");
    basis.views = *views;
    spatial = json.at("spatial").get<bool>();
  } catch (const nlohmann::json::exception& problem) {
    fail_damaged(path, text("its attributes cannot be read (", problem.what(), ")"), "copy it again");
  }
  if (std::ranges::any_of(file.datasets(), [](const DatasetInfo& dataset) { return dataset.name == kDroppedDataset; }))
    throw Error(ErrorKind::kNewer, {.path = path.string(),
                                    .what = "belongs to the transform encoding of another version of vitrine",
                                    .remedy = "read it with that, or extract the track again"});
  const std::uint64_t c = basis.channels, h = basis.height, w = basis.width;
  basis.mean = get<float>(file, scratch, "mean", "<f4", {c, h, w});
  basis.vectors = get<float>(file, scratch, "vectors", "<f4", {c, c});
  basis.eigenvalues = get<float>(file, scratch, "eigenvalues", "<f4", {c});
  if (spatial) {
    basis.rows = get<float>(file, scratch, "rows", "<f4", {h, h});
    basis.columns = get<float>(file, scratch, "columns", "<f4", {w, w});
  }
  basis.scale = get<std::int16_t>(file, scratch, "scale", "<i2", {c, h, w});
  basis.expected = get<std::uint16_t>(file, scratch, "expected", "<u2", {FeatureBasis::kLevels});
  basis.levels = get<std::uint8_t>(file, scratch, "levels", "|u1", {kKinds, kPlanes});
  basis.confidence = get<std::uint16_t>(file, scratch, "confidence", "<u2", {1})[0];
  basis.check(path.string());
  if (basis.hash() != hash) fail_damaged(path, "does not match its hash", "copy it again");
  return basis;
}

std::shared_ptr<const FeatureBasis> load_basis(const std::filesystem::path& cache, const TrackInfo& track) {
  if (track.codec.encoding != Encoding::kTransform) return nullptr;
  const std::filesystem::path path = cache / basis_path(track);
  auto basis = std::make_shared<const FeatureBasis>(read_basis(path));
  if (basis->hash() != track.codec.basis)
    throw Error(ErrorKind::kInput, {.path = path.string(),
                                    .what = text("is the basis ", basis->hash().substr(0, 8), ", but track.json names ",
                                                 track.codec.basis.substr(0, 8)),
                                    .remedy = "copy both from the same cache"});
  return basis;
}

ShardNotes read_notes(const Container& shard) {
  const std::string where = shard.path().string();
  const auto json = attributes(shard, kShardFormat);
  ShardNotes notes;
  notes.made_with = compute_from_json(JsonFields(json, where).at("made_with"), where);
  if (const auto loss = json.find("loss"); loss != json.end()) notes.loss = loss->dump();
  return notes;
}

std::vector<ArithmeticKind> arithmetic_kinds(std::span<const ShardNotes> shards) {
  std::map<ComputeRecord, std::uint64_t> kinds;
  for (const ShardNotes& notes : shards)
    if (notes.made_with) ++kinds[*notes.made_with];
  std::vector<ArithmeticKind> out;
  for (const auto& [made_with, count] : kinds) out.push_back({made_with, count});
  return out;
}

namespace {

constexpr std::uint64_t kMaxChunkBytes = (1ull << 32) - 1;  // the container counts them in 32 bits
constexpr std::uint64_t kMaxTransformValues = 1ull << 29;   // encode_items()
constexpr std::uint64_t kMaxUniformValues = 1ull << 30;     // at most 4 bytes each for low bits and for planes

}  // namespace

std::uint64_t largest_group(const TrackInfo& track, std::uint32_t step) {
  std::uint64_t views = kMaxChunkBytes;
  if (track.codec.encoding == Encoding::kTransform) {
    views = kMaxTransformValues / track.view_values();
  } else if (track.codec.encoding == Encoding::kUniform) {
    // The row of means takes the space of one view.
    views = kMaxUniformValues / track.view_values();
    views -= std::min<std::uint64_t>(views, 1);
  } else {
    for (const ArrayLayout& array : make_codec(track.codec, track.shape)->layout())
      views = std::min<std::uint64_t>(views, kMaxChunkBytes / array.view_bytes());
  }
  return views / step * step;
}

void check_group(const TrackInfo& track, std::uint32_t group, std::uint32_t step) {
  const std::uint64_t largest = largest_group(track, step);
  if (group <= largest) return;
  const std::string what = text("plan.group = ", group, " is too large for ", track.name(), " as ",
                                encoding_name(track.codec.encoding), ", ", track.view_values(), " values per view: ");
  if (largest > 0) fail(what, "at most ", largest, " works");
  fail(what, "not even ", step, " works; choose another encoding (taps.", track.kind, "_encoding) or other taps");
}

}  // namespace vitrine
