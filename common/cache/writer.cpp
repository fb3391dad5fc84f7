#include "common/cache/writer.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <unordered_set>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json_difference.h"
#include "common/base/utf8.h"
#include "common/cache/cache.h"
#include "common/cache/container.h"
#include "common/cache/container_writer.h"
#include "common/cache/shard_directory.h"
#include "common/cache/track.h"
#include "common/codec/make_codec.h"
#include "common/codec/transform/basis.h"

namespace vitrine {
namespace {

constexpr int kBasisLevel = 3;                      // of zstd; read and written once
constexpr std::uint64_t kKinds = 40, kPlanes = 15;  // of the basis's levels
constexpr int kColumnLevel = 3;                     // of zstd, for the index and the recipes: small, written once
constexpr std::uint64_t kColumnRows = 1 << 16;      // rows per chunk of the index
constexpr const char* kOtherPlan = "use the same settings, or another cache directory";
constexpr const char* kOtherTrack = "use the same settings, or remove the track's directory";

template <class Number>
DatasetSpec column(const std::string& name, const char* dtype, const std::vector<Number>& numbers) {
  const std::uint64_t rows = numbers.size(), chunk = std::min(rows, kColumnRows);
  DatasetSpec spec{name, dtype, {rows}, static_cast<std::uint32_t>(chunk), {}};
  for (std::uint64_t first = 0; first < rows; first += chunk)
    spec.chunks.push_back(std::as_bytes(std::span(numbers).subspan(first, std::min(chunk, rows - first))));
  return spec;
}

void write_index(const std::filesystem::path& path, const ImageIndex& index) {
  std::vector<std::uint64_t> offsets{0}, file_bytes, hashes;
  std::vector<std::uint32_t> heights, widths, labels;
  std::vector<char> ids;
  for (const ImageEntry& image : index.images) {
    if (!is_utf8(image.id))
      throw Error(ErrorKind::kInput, {.path = path.string(),
                                      .what = text("the name of image ", heights.size(), " is not UTF-8"),
                                      .remedy = "rename the file or leave it out"});
    ids.insert(ids.end(), image.id.begin(), image.id.end());
    offsets.push_back(ids.size());
    heights.push_back(image.height);
    widths.push_back(image.width);
    labels.push_back(image.label);
    file_bytes.push_back(image.file_bytes);
    hashes.push_back(image.hash);
  }
  if (ids.empty())
    throw Error(ErrorKind::kInput, {.path = path.string(),
                                    .what = "an index without images or names cannot be stored",
                                    .remedy = "check the dataset's folder"});
  nlohmann::ordered_json json;
  json["format"] = kIndexFormat;
  json["images"] = index.images.size();
  json["hash"] = index.hash();
  json["classes"] = index.classes;
  if (index.decoding.apply_orientation) json["decoding"]["exif_orientation"] = "apply";
  if (index.decoding.scale_grey16) json["decoding"]["grey16"] = "scale";
  json["written_by"] = written_by();
  std::string attribute;
  try {
    attribute = json.dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::kInput,
                {.path = path.string(), .what = "a class's name is not UTF-8", .remedy = "rename its folder"});
  }
  write_container(path,
                  {column("id_offset", "<u8", offsets), column("id_bytes", "|u1", ids),
                   column("height", "<u4", heights), column("width", "<u4", widths), column("label", "<u4", labels),
                   column("file_bytes", "<u8", file_bytes), column("hash", "<u8", hashes)},
                  attribute, kColumnLevel);
}

// The first image of `index` that `other` lacks; nullptr if there is none.
const ImageEntry* first_only_in(const ImageIndex& index, const ImageIndex& other) {
  std::unordered_set<std::string_view> ids;
  for (const ImageEntry& image : other.images) ids.insert(image.id);
  const auto found = std::ranges::find_if(index.images, [&](const ImageEntry& one) { return !ids.contains(one.id); });
  return found != index.images.end() ? &*found : nullptr;
}

std::string index_difference(const ImageIndex& there, const ImageIndex& now) {
  if (there.images.size() != now.images.size()) {
    const ImageEntry *gone = first_only_in(there, now), *added = first_only_in(now, there);
    return text("it has ", there.images.size(), " images, now there are ", now.images.size(),
                gone != nullptr ? text("; ", gone->id, " is gone") : "",
                added != nullptr ? text("; ", added->id, " is new") : "");
  }
  if (there.classes != now.classes) {
    if (there.classes.size() != now.classes.size())
      return text("it has ", there.classes.size(), " classes, now there are ", now.classes.size());
    const auto differ = std::ranges::mismatch(there.classes, now.classes);
    return text("class ", differ.in1 - there.classes.begin(), " was ", *differ.in1, " and is now ", *differ.in2);
  }
  if (!(there.decoding == now.decoding))
    return text("it has ", there.decoding.describe(), ", now ", now.decoding.describe());
  const auto differ = std::ranges::mismatch(there.images, now.images);
  if (differ.in1 == there.images.end()) return {};
  const ImageEntry &a = *differ.in1, &b = *differ.in2;
  const std::string image = text("image ", differ.in1 - there.images.begin(), " (", a.id, ")");
  if (a.id != b.id) return image + " is now " + b.id;
  if (a.label != b.label) return text(image, " had label ", a.label, ", now ", b.label);
  if (a.height != b.height || a.width != b.width)
    return text(image, " had ", a.height, " x ", a.width, " pixels, now ", b.height, " x ", b.width);
  return image + " has other contents now";
}

void compare_with_file(const std::filesystem::path& path, const std::string& json, const char* what,
                       const char* remedy) {
  const std::string old = read_file(path);
  if (old == json) return;
  const auto recorded = parse_json<nlohmann::ordered_json>(old);
  if (!recorded.is_object())
    throw Error(ErrorKind::kCorrupt,
                {.path = path.string(), .what = "is not valid JSON", .remedy = "the file is damaged, copy it again"});
  std::vector<JsonDifference> differences = json_differences(recorded, nlohmann::ordered_json::parse(json));
  if (differences.size() > 1) differences.resize(1);
  const std::string words =
      differences.empty() ? "only the layout of the text" : describe_differences(differences, "this run");
  throw Error(ErrorKind::kInput,
              {.path = path.string(), .what = text("the cache holds another ", what, ": ", words), .remedy = remedy});
}

void publish_or_compare(const std::filesystem::path& path, const std::string& json, const char* what,
                        const char* remedy) {
  if (!path_exists(path) && publish(path, json, Existing::kKeep)) return;
  compare_with_file(path, json, what, remedy);
}

ShardSpan span_of(const Plan& plan, std::uint32_t pass, std::uint32_t shard) {
  if (shard >= plan.shards_per_pass()) throw std::logic_error(text("shard ", shard, " of ", plan.shards_per_pass()));
  return plan.layout().span_of({pass, shard});
}

std::filesystem::path recipes_path(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass,
                                   std::uint32_t shard) {
  return directory / "recipes" / shard_file_name(span_of(plan, pass, shard).number);
}

std::filesystem::path shard_path(const std::filesystem::path& directory, const TrackInfo& track, const Plan& plan,
                                 std::uint32_t pass, std::uint32_t shard) {
  return directory / track.directory() / shard_file_name(span_of(plan, pass, shard).number);
}

const std::vector<FieldSpec>& recipe_fields() {
  static const std::vector<FieldSpec> fields{{"image", "<u4", offsetof(Recipe, image)},
                                             {"label", "<u4", offsetof(Recipe, label)},
                                             {"top", "<i4", offsetof(Recipe, top)},
                                             {"left", "<i4", offsetof(Recipe, left)},
                                             {"height", "<i4", offsetof(Recipe, height)},
                                             {"width", "<i4", offsetof(Recipe, width)},
                                             {"flip", "|u1", offsetof(Recipe, flip)},
                                             {"mix", "|u1", offsetof(Recipe, mix)},
                                             {"partner", "<u2", offsetof(Recipe, partner)},
                                             {"lambda", "<u2", offsetof(Recipe, lambda)},
                                             {"box_top", "<u2", offsetof(Recipe, box_top)},
                                             {"box_left", "<u2", offsetof(Recipe, box_left)},
                                             {"box_bottom", "<u2", offsetof(Recipe, box_bottom)},
                                             {"box_right", "<u2", offsetof(Recipe, box_right)},
                                             {"reserved", "<u2", offsetof(Recipe, flags)}};
  return fields;
}

template <class Number>
void put(std::vector<DatasetSpec>& specs, const char* name, const char* dtype, std::vector<std::uint64_t> shape,
         const std::vector<Number>& numbers) {
  if (numbers.empty()) return;  // no transform over positions
  const auto rows = static_cast<std::uint32_t>(shape[0]);
  specs.push_back({name, dtype, std::move(shape), rows, {std::as_bytes(std::span(numbers))}});
}

}  // namespace

void check_cache(const std::filesystem::path& directory, const ImageIndex& index, const Plan& plan) {
  if (const std::filesystem::path path = directory / "index.h5"; path_exists(path))
    if (const std::string difference = index_difference(read_index(path), index); !difference.empty())
      throw Error(
          ErrorKind::kInput,
          {.path = path.string(),
           .what = "the cache holds another index: " + difference,
           .remedy = "use the dataset as it was (where pictures are gone or damaged, bad_images = \"skip\" continues "
                     "without them), or another cache directory"});
  if (const std::filesystem::path path = directory / "plan.json"; path_exists(path))
    compare_with_file(path, plan.json(), "plan", kOtherPlan);
}

void create_cache(const std::filesystem::path& directory, const ImageIndex& index, const Plan& plan) {
  const std::filesystem::path path = directory / "index.h5";
  if (!path_exists(path)) write_index(path, index);
  // Another process may have published it at the same time.
  check_cache(directory, index, plan);
  publish_or_compare(directory / "plan.json", plan.json(), "plan", kOtherPlan);
}

void write_basis(const std::filesystem::path& path, const FeatureBasis& basis) {
  const std::uint64_t c = basis.channels, h = basis.height, w = basis.width;
  std::vector<DatasetSpec> specs;
  put(specs, "mean", "<f4", {c, h, w}, basis.mean);
  put(specs, "vectors", "<f4", {c, c}, basis.vectors);
  put(specs, "eigenvalues", "<f4", {c}, basis.eigenvalues);
  put(specs, "rows", "<f4", {h, h}, basis.rows);
  put(specs, "columns", "<f4", {w, w}, basis.columns);
  put(specs, "scale", "<i2", {c, h, w}, basis.scale);
  put(specs, "expected", "<u2", {FeatureBasis::kLevels}, basis.expected);
  put(specs, "levels", "|u1", {kKinds, kPlanes}, basis.levels);
  const std::vector<std::uint16_t> confidence{basis.confidence};
  put(specs, "confidence", "<u2", {1}, confidence);
  nlohmann::ordered_json json;
  json["format"] = kBasisFormat;
  json["version"] = kFormatMajor;
  json["hash"] = basis.hash();
  json["channels"] = c;
  json["height"] = h;
  json["width"] = w;
  json["views"] = basis.views;
  json["spatial"] = basis.spatial();
  json["written_by"] = written_by();
  write_container(path, std::move(specs), json.dump(), kBasisLevel, table::kFlagEncodings);
}

void create_track(const std::filesystem::path& directory, const TrackInfo& track, const FeatureBasis* basis) {
  const std::filesystem::path path = directory / track.directory() / "track.json";
  track.check(path.string());
  if ((basis != nullptr) != (track.codec.encoding == Encoding::kTransform))
    throw std::logic_error("exactly the transform tracks need a basis");
  // A new track's basis is published first, so that no track.json is visible without it; an existing track may have
  // lost its basis.
  const bool there = path_exists(path);
  const auto provide_basis = [&] {
    if (basis == nullptr) return;
    const std::filesystem::path file = directory / basis_path(track);
    if (!path_exists(file)) write_basis(file, *basis);
    if (const std::string hash = read_basis(file).hash(); hash != basis->hash())
      throw Error(ErrorKind::kInput,
                  {.path = file.string(),
                   .what = text("is the basis ", hash.substr(0, 8), ", this run has made ", basis->hash().substr(0, 8)),
                   .remedy = "another process began the track at the same time; run again to use its basis"});
  };
  if (!there) provide_basis();
  publish_or_compare(path, track.file_text(), "track of this name", kOtherTrack);
  if (there) provide_basis();
}

void check_track(const std::filesystem::path& directory, const TrackInfo& track) {
  const std::filesystem::path path = directory / track.directory() / "track.json";
  if (path_exists(path)) compare_with_file(path, track.file_text(), "track of this name", kOtherTrack);
}

std::uint64_t RecordedViews::count() const {
  std::uint64_t count = 0;
  for (const std::vector<std::uint32_t>& group : left_out) count += group.size();
  return count;
}

std::vector<Recipe> marked(std::vector<Recipe> recipes, const std::vector<std::uint32_t>& left_out) {
  for (const std::uint32_t position : left_out) recipes.at(position).flags |= kViewLeftOut;
  return recipes;
}

std::vector<std::uint32_t> positions_left_out(std::span<const Recipe> recipes) {
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < recipes.size(); ++i)
    if (is_left_out(recipes[i])) out.push_back(static_cast<std::uint32_t>(i));
  return out;
}

FileRecord write_recipes(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass,
                         std::uint32_t shard, const RecordedViews& views,
                         const std::map<std::string, std::string>& decoders, Existing existing) {
  const ShardSpan span = span_of(plan, pass, shard);
  const std::uint32_t groups = span.groups, first = span.first_group;
  if (views.picture_hashes.size() != groups || (!views.left_out.empty() && views.left_out.size() != groups))
    throw std::logic_error("expected one picture hash per group, and one list of left out views per group or none");
  std::vector<std::vector<Recipe>> recipes;
  DatasetSpec recipe{"recipe", "|V40", {span.views}, plan.options().group, {}, recipe_fields()};
  for (std::uint32_t group = 0; group < groups; ++group)
    recipes.push_back(marked(plan.group(pass, first + group),
                             views.left_out.empty() ? std::vector<std::uint32_t>() : views.left_out[group]));
  for (const std::vector<Recipe>& group : recipes) recipe.chunks.push_back(std::as_bytes(std::span(group)));
  const DatasetSpec hashes{"picture_hash", "<u8", {groups}, groups, {std::as_bytes(std::span(views.picture_hashes))}};
  nlohmann::ordered_json json;
  json["format"] = kRecipesFormat;
  json["plan"] = plan.hash();
  json["pass"] = pass;
  json["shard"] = shard;
  json["first_group"] = first;
  json["groups"] = groups;
  json["written_by"] = written_by();
  if (!decoders.empty()) json["decoders"] = decoders;
  if (views.count() > 0) json["left_out"] = views.count();
  return write_container(recipes_path(directory, plan, pass, shard), {recipe, hashes}, json.dump(), kColumnLevel,
                         views.count() > 0 ? table::kFlagLeftOut : 0, existing);
}

FileRecord write_recipes(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass,
                         std::uint32_t shard, const std::vector<std::uint64_t>& picture_hashes,
                         const std::map<std::string, std::string>& decoders) {
  return write_recipes(directory, plan, pass, shard, RecordedViews{picture_hashes}, decoders);
}

RecordedViews recorded_views(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass,
                             std::uint32_t shard) {
  const Container file(recipes_path(directory, plan, pass, shard));
  const auto json = attributes(file, kRecipesFormat);
  expect(file, json, "plan", plan.hash());
  expect(file, json, "pass", pass);
  expect(file, json, "shard", shard);
  const ShardSpan span = span_of(plan, pass, shard);
  const std::uint32_t groups = span.groups, group_views = plan.options().group;
  expect_dataset(file, "picture_hash", "<u8", {groups}, groups);
  expect_dataset(file, "recipe", "|V40", {span.views}, group_views);
  Container::Scratch scratch;
  RecordedViews views{std::vector<std::uint64_t>(groups)};
  file.read_chunk(file.find("picture_hash"), 0, scratch, std::as_writable_bytes(std::span(views.picture_hashes)));
  std::vector<Recipe> recipes(group_views);
  for (std::uint32_t group = 0; group < groups; ++group) {
    file.read_chunk(file.find("recipe"), group, scratch, std::as_writable_bytes(std::span(recipes)));
    views.left_out.push_back(positions_left_out(recipes));
  }
  return views;
}

bool recipes_exist(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass, std::uint32_t shard) {
  return path_exists(recipes_path(directory, plan, pass, shard));
}

FileRecord write_shard(const std::filesystem::path& directory, const TrackInfo& track, const Plan& plan,
                       std::uint32_t pass, std::uint32_t shard, const std::vector<std::vector<Array>>& groups,
                       const ShardNotes& notes) {
  ShardDraft draft(track, plan, pass, shard,
                   make_codec(track.codec, track.shape, load_basis(directory, track))->layout());
  if (groups.size() != draft.groups())
    throw std::logic_error(text("a shard of ", draft.groups(), " groups, not ", groups.size()));
  for (std::uint32_t g = 0; g < draft.groups(); ++g) draft.set(g, groups[g]);
  for (std::uint32_t g = 0; g < draft.groups(); ++g) draft.compress(g);
  return draft.publish(directory, notes);
}

bool shard_exists(const std::filesystem::path& directory, const TrackInfo& track, const Plan& plan, std::uint32_t pass,
                  std::uint32_t shard) {
  return path_exists(shard_path(directory, track, plan, pass, shard));
}

}  // namespace vitrine
