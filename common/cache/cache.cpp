#include "common/cache/cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/utf8.h"
#include "common/cache/container.h"
#include "common/cache/damaged.h"
#include "common/cache/teacher_classes.h"
#include "common/cache/track.h"
#include "common/codec/make_codec.h"
#include "common/codec/topk.h"
#include "common/codec/transform/transform_codec.h"

namespace vitrine {

namespace {

template <class Number>
std::vector<Number> column(const Container& file, Container::Scratch& scratch, const std::string& name,
                           const char* dtype, std::uint64_t rows) {
  const std::size_t dataset = file.find(name);
  const DatasetInfo& info = file.datasets()[dataset];
  if (info.dtype != dtype || info.shape != std::vector<std::uint64_t>{rows})
    fail_damaged(file.path(), text("dataset ", name, " has an unexpected type or shape"), "make the index again");
  const std::vector<std::byte> bytes = file.read_all(dataset, scratch);
  std::vector<Number> numbers(rows);
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

// Decoding settings change the meaning of all pixels, so unknown ones must not be ignored.
Decoding decoding_of(const nlohmann::ordered_json& attributes, const std::filesystem::path& path) {
  Decoding decoding;
  const auto choices = attributes.find("decoding");
  if (choices == attributes.end()) return decoding;
  if (!choices->is_object()) fail_damaged(path, "decoding is not an object", "make the index again");
  for (const auto& [key, value] : choices->items()) {
    if (key == "exif_orientation" && value == "apply")
      decoding.apply_orientation = true;
    else if (key == "grey16" && value == "scale")
      decoding.scale_grey16 = true;
    else
      throw Error(ErrorKind::kNewer,
                  {.path = path.string(),
                   .what = text("decoding.", key, " = ", value.dump(), " is a setting that this program does not know"),
                   .remedy = "use a newer vitrine"});
  }
  return decoding;
}

// `place`: the recipe's, for the Error.
void check_recipe(const Recipe& r, const Plan& plan, const Problem& place) {
  const auto refuse = [&](const std::string& what, const char* remedy) {
    throw Error(ErrorKind::kCorrupt, {.what = what, .remedy = remedy}).at(place);
  };
  const ImageIndex& index = plan.index();
  const PlanOptions& options = plan.options();
  const bool boxed = r.mix == Mix::kCutMix || is_letterboxed(r) || options.resize == Resize::kLetterbox;
  if (r.image >= index.images.size()) refuse(text("names image ", r.image, " of ", index.images.size()), "");
  const ImageEntry& image = index.images[r.image];
  if (r.label != image.label || r.top < 0 || r.left < 0 || r.height < 1 || r.width < 1 ||
      std::int64_t{r.top} + r.height > image.height || std::int64_t{r.left} + r.width > image.width || r.flip > 1 ||
      r.mix > Mix::kCutMix || r.partner >= options.group || (r.flags & ~kViewLeftOut) != 0 ||
      (options.resize == Resize::kLetterbox && r.mix != Mix::kNone) ||
      (boxed && (r.box_top >= r.box_bottom || r.box_left >= r.box_right || r.box_bottom > options.image_size ||
                 r.box_right > options.image_size)))
    refuse("a recipe does not fit its image", "the file belongs to another cache, copy or make it again");
}

// Whether a track matches `name` and `teacher`, with their meaning in Cache::track().
bool is_called(const std::string& directory, const std::string& name, const std::string& teacher) {
  constexpr std::size_t kDigits = 9;  // ".xxxxxxxx"
  const std::size_t slash = directory.find('/');
  if (directory.substr(slash + 1) != name) return false;
  const std::string whole = directory.substr(0, slash);
  return teacher.empty() || teacher == whole ||
         (whole.size() > kDigits && whole[whole.size() - kDigits] == '.' &&
          teacher == whole.substr(0, whole.size() - kDigits));
}

}  // namespace

bool is_teacher_directory(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  return dot != std::string::npos && dot > 0 && name.size() == dot + 9 &&
         name.find_first_not_of("0123456789abcdef", dot + 1) == std::string::npos;
}

ImageIndex read_index(const std::filesystem::path& path) {
  const Container file(path);
  Container::Scratch scratch;
  const auto json = attributes(file, kIndexFormat);
  ImageIndex index;
  const auto classes = json.value("classes", nlohmann::ordered_json());
  if (!classes.is_array()) fail_damaged(path, "has no list of classes", "make the index again");
  for (const auto& name : classes) {
    if (!name.is_string()) fail_damaged(path, "has a class whose name is not a text", "make the index again");
    index.classes.push_back(name.get<std::string>());
  }
  index.decoding = decoding_of(json, path);
  const std::uint64_t images = file.datasets()[file.find("height")].shape[0];
  const std::uint64_t id_bytes = file.datasets()[file.find("id_bytes")].shape[0];
  const auto offsets = column<std::uint64_t>(file, scratch, "id_offset", "<u8", images + 1);
  const auto ids = column<char>(file, scratch, "id_bytes", "|u1", id_bytes);
  const auto heights = column<std::uint32_t>(file, scratch, "height", "<u4", images);
  const auto widths = column<std::uint32_t>(file, scratch, "width", "<u4", images);
  const auto labels = column<std::uint32_t>(file, scratch, "label", "<u4", images);
  const auto file_bytes = column<std::uint64_t>(file, scratch, "file_bytes", "<u8", images);
  const auto hashes = column<std::uint64_t>(file, scratch, "hash", "<u8", images);
  index.images.reserve(images);
  for (std::uint64_t i = 0; i < images; ++i) {
    if (offsets[i] > offsets[i + 1] || offsets[i + 1] > ids.size())
      fail_damaged(path, text("the name of image ", i, " is outside the list of names"), "make the index again");
    std::string id(ids.data() + offsets[i], offsets[i + 1] - offsets[i]);
    if (!is_utf8(id)) fail_damaged(path, text("the name of image ", i, " is not UTF-8"), "make the index again");
    index.images.push_back({std::move(id), heights[i], widths[i], labels[i], file_bytes[i], hashes[i]});
  }
  return index;
}

Cache::Cache(std::filesystem::path directory) : directory_(std::move(directory)) {
  if (!directory_exists(directory_))
    throw Error(ErrorKind::kInput, {.path = directory_.empty() ? "\"\"" : directory_.string(),
                                    .what = "is not a directory",
                                    .remedy = "expected a cache, as vitrine-extract makes it"});
  if (!path_exists(directory_ / "index.h5") && !path_exists(directory_ / "plan.json"))
    throw Error(ErrorKind::kInput, {.path = directory_.string(),
                                    .what = "is not a cache (it has no index.h5 and no plan.json)",
                                    .remedy = "give a directory that vitrine-extract has made"});
  index_ = std::make_shared<const ImageIndex>(read_index(directory_ / "index.h5"));
  const std::string where = (directory_ / "plan.json").string(), json = read_file(directory_ / "plan.json");
  const PlanOptions options = Plan::options_from_json(json, where);
  try {
    plan_ = read_as(ErrorKind::kCorrupt, [&] { return std::make_unique<const Plan>(index_, options); });
  } catch (const Error& error) {
    throw error.at({.path = (directory_ / "index.h5").string()});
  }
  if (plan_->json() != json)
    throw Error(ErrorKind::kInput, {.path = where,
                                    .what = "does not belong to the index.h5 beside it, or was edited",
                                    .remedy = "copy both from the cache again"});

  const Plan plan = *plan_;
  recipes_ = std::make_unique<const ShardDirectory>(
      directory_ / "recipes", [plan](const Container& file, std::uint64_t number) {
        const ShardSpan span = plan.layout().span_of(number);
        const auto attribute = attributes(file, kRecipesFormat);
        expect(file, attribute, "plan", plan.hash());
        expect(file, attribute, "pass", plan.layout().pass_of(number));
        expect(file, attribute, "shard", span.key.shard);
        expect_dataset(file, "recipe", "|V40", {span.views}, plan.options().group);
        expect_dataset(file, "picture_hash", "<u8", {span.groups}, span.groups);
      });
  recipe_passes_ = recipes_->complete_passes(plan_->layout());

  for (const DirectoryEntry& teacher : list_directory(directory_)) {
    if (teacher.kind != DirectoryEntry::Kind::kDirectory) continue;
    try {
      for (const DirectoryEntry& track : list_directory(directory_ / teacher.name))
        if (track.kind == DirectoryEntry::Kind::kDirectory) add_track(directory_ / teacher.name / track.name);
    } catch (const Error& error) {
      const bool vanished = error.kind() == ErrorKind::kInput;
      if (is_teacher_directory(teacher.name) && !vanished) bad_tracks_.push_back({teacher.name, error});
    }
  }
  std::ranges::sort(tracks_, {}, &TrackInfo::directory);
  std::ranges::sort(bad_tracks_, {}, &BadTrack::directory);
}

void Cache::add_track(const std::filesystem::path& directory) {
  const std::string file = (directory / "track.json").string();
  const auto refuse = [&](const std::string& what, const char* remedy) {
    throw Error(ErrorKind::kInput, {.path = file, .what = what, .remedy = remedy});
  };
  try {
    if (!path_exists(file)) {
      if (ShardDirectory(directory, nullptr).count() > 0)
        refuse("is missing, but there are shards", "rebuild it with vitrine-cache repair");
      return;
    }
    TrackInfo info = TrackInfo::from_file_text(read_file(file), file);
    if (info.plan_hash != plan_->hash())
      refuse(text("was made for another plan (", info.plan_hash.substr(0, 8), ", this cache has ",
                  plan_->hash().substr(0, 8), ")"),
             "remove the directory or put it into its own cache");
    if (directory_ / info.directory() != directory)
      refuse(text("belongs in ", info.directory()), "rename its directory back");
    check_class_names(directory_, info);
    tracks_.push_back(std::move(info));
  } catch (const Error& error) {
    const std::filesystem::path below = directory.parent_path().filename() / directory.filename();
    bad_tracks_.push_back({below.generic_string(), error});
  }
}

namespace {

// The file with a group's recipes.
const Container& recipes_of(const ShardDirectory& recipes, const Plan& plan, GroupKey key) {
  if (key.group >= plan.groups_per_pass())
    fail(recipes.directory().string(), ": group ", key.group, " does not exist; a pass has ", plan.groups_per_pass());
  return recipes.open(plan.layout().number_of(key));
}

}  // namespace

std::vector<Recipe> Cache::recipes(GroupKey key) const {
  const ShardLayout layout = plan_->layout();
  const Container& file = recipes_of(*recipes_, *plan_, key);
  Container::Scratch scratch;
  std::vector<Recipe> recipes(layout.group_views);
  file.read_chunk(file.find("recipe"), layout.place_of(key), scratch, std::as_writable_bytes(std::span(recipes)));
  const Problem place{.path = file.path().string(), .group = layout.place_of(key)};
  for (const Recipe& recipe : recipes) check_recipe(recipe, *plan_, place);
  return recipes;
}

std::uint64_t Cache::picture_hash(GroupKey key) const {
  const Container& file = recipes_of(*recipes_, *plan_, key);
  Container::Scratch scratch;
  const std::vector<std::byte> bytes = file.read_all(file.find("picture_hash"), scratch);
  std::uint64_t hash;
  std::memcpy(&hash, bytes.data() + std::size_t{plan_->layout().place_of(key)} * sizeof hash, sizeof hash);
  return hash;
}

bool Cache::has_track(const std::string& name, const std::string& teacher) const {
  return std::ranges::any_of(tracks_,
                             [&](const TrackInfo& track) { return is_called(track.directory(), name, teacher); }) ||
         std::ranges::any_of(bad_tracks_,
                             [&](const BadTrack& track) { return is_called(track.directory, name, teacher); });
}

const TrackInfo& Cache::track(const std::string& name, const std::string& teacher) const {
  std::string there;
  const TrackInfo* found = nullptr;
  const BadTrack* bad = nullptr;
  int fitting = 0;
  for (const TrackInfo& track : tracks_) {
    there += (there.empty() ? "" : ", ") + track.directory();
    if (!is_called(track.directory(), name, teacher)) continue;
    found = &track;
    ++fitting;
  }
  for (const BadTrack& track : bad_tracks_) {
    there += (there.empty() ? "" : ", ") + track.directory + " (not readable)";
    if (!is_called(track.directory, name, teacher)) continue;
    bad = &track;
    ++fitting;
  }
  if (fitting == 1 && bad != nullptr) throw bad->error;
  if (fitting != 1)
    fail(directory_.string(), ": has ", fitting > 1 ? "several tracks" : "no track", " of the name ", name,
         teacher.empty() ? "" : " from teacher ", teacher, "; it has ", there.empty() ? "none at all" : there);
  return *found;
}

TrackReader::TrackReader(const Cache& cache, const TrackInfo& track)
    : track_(track),
      shards_(cache.plan().layout()),
      basis_(load_basis(cache.directory(), track)),
      codec_(make_codec(track.codec, track.shape, basis_)) {
  layout_ = codec_->layout();
  // Copied for the check, as the reader may be moved while shard_directory_ holds the check.
  std::vector<std::uint64_t> most;
  for (std::size_t i = 0; i < layout_.size(); ++i) most.push_back(codec_->max_bytes(i, shards_.group_views));
  const auto check = [wanted = track_, layout = layout_, most, shards = shards_](const Container& file,
                                                                                 std::uint64_t number) {
    const ShardSpan span = shards.span_of(number);
    const auto attribute = attributes(file, kShardFormat);
    expect_track(file, attribute, wanted);
    expect(file, attribute, "pass", shards.pass_of(number));
    expect(file, attribute, "shard", span.key.shard);
    for (std::size_t i = 0; i < layout.size(); ++i) {
      const ArrayLayout& array = layout[i];
      if (file.find(array.name) != i)
        throw Error(ErrorKind::kInput, {.path = file.path().string(),
                                        .what = text("dataset ", array.name, " is out of order in the table"),
                                        .remedy = "copy or make it again"});
      if (array.whole_group) {
        // The longest group's length is only in this file; the codec gives an upper bound.
        const DatasetInfo& info = file.datasets()[i];
        if (info.shape.size() == 2 && info.shape[1] > most[i])
          throw Error(ErrorKind::kCorrupt,
                      {.path = file.path().string(),
                       .dataset = array.name,
                       .what = text("has ", info.shape[1], " bytes per group; a group takes at most ", most[i]),
                       .remedy = "copy or make it again"});
        expect_dataset(file, array.name, array.dtype, {span.groups, info.shape.size() == 2 ? info.shape[1] : 1}, 1);
        continue;
      }
      std::vector<std::uint64_t> shape{span.views};
      shape.insert(shape.end(), array.view_shape.begin(), array.view_shape.end());
      expect_dataset(file, array.name, array.dtype, shape, shards.group_views);
    }
  };
  shard_directory_ = std::make_unique<const ShardDirectory>(cache.directory() / track_.directory(), check);
  passes_ = shard_directory_->complete_passes(shards_);
}

std::uint64_t TrackReader::stored_views() const {
  std::uint64_t views = 0;
  for (const std::uint64_t number : shard_directory_->numbers()) views += shards_.span_of(number).views;
  return views;
}

template <class Decode>
void TrackReader::load(GroupKey key, Scratch& scratch, const Decode& decode) const {
  if (key.group >= shards_.groups_per_pass)
    fail(shard_directory_->directory().string(), ": group ", key.group, " does not exist; a pass has ",
         shards_.groups_per_pass);
  const Container& file = shard_directory_->open(shards_.number_of(key));
  if (scratch.arrays.size() < layout_.size()) scratch.arrays.resize(layout_.size());
  scratch.spans.clear();
  for (std::size_t i = 0; i < layout_.size(); ++i) {
    // Bounded, as the table has been checked against the file's size.
    const std::size_t size = file.datasets()[i].chunk_bytes();
    const std::span<std::byte> bytes = scratch.arrays[i].first(size);
    file.read_chunk(i, shards_.place_of(key), scratch.container, bytes, Container::Check::kStored);
    scratch.spans.push_back(bytes);
  }
  try {
    decode(scratch.spans);
  } catch (const Error& error) {
    throw error.at({.path = file.path().string(), .group = shards_.place_of(key)});
  }
}

void TrackReader::read(GroupKey key, Scratch& scratch, std::span<float> out) const {
  if (out.size() != track_.view_values() * shards_.group_views)
    fail(shard_directory_->directory().string(), ": a group has ", track_.view_values() * shards_.group_views,
         " values; expected ", out.size());
  load(key, scratch, [&](const auto& arrays) { codec_->decode(arrays, shards_.group_views, out); });
}

void TrackReader::read_kept(GroupKey key, Scratch& scratch, std::span<float> values, std::span<std::uint32_t> indices,
                            std::span<float> tail) const {
  const auto* codec = dynamic_cast<const TopkCodec*>(codec_.get());
  if (codec == nullptr)
    fail(shard_directory_->directory().string(), ": is stored as ", encoding_name(track_.codec.encoding),
         ", which stores all classes; only a topk track has largest values and a tail");
  load(key, scratch,
       [&](const auto& arrays) { codec->decode_kept(arrays, shards_.group_views, values, indices, tail); });
}

void TrackReader::read_coefficients(GroupKey key, Scratch& scratch, std::span<float> out) const {
  const auto* codec = dynamic_cast<const TransformCodec*>(codec_.get());
  if (codec == nullptr)
    fail(shard_directory_->directory().string(), ": is stored as ", encoding_name(track_.codec.encoding),
         "; only a transform track has coefficients");
  if (out.size() != track_.view_values() * shards_.group_views)
    fail(shard_directory_->directory().string(), ": a group has ", track_.view_values() * shards_.group_views,
         " values; expected ", out.size());
  load(key, scratch, [&](const auto& arrays) { codec->decode_coefficients(arrays[0], shards_.group_views, out); });
}

void TrackReader::read_in_own_basis(GroupKey key, Scratch& scratch, std::span<float> out) const {
  if (basis_)
    read_coefficients(key, scratch, out);
  else
    read(key, scratch, out);
}

}  // namespace vitrine
