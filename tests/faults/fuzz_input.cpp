#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "common/base/files.h"
#include "common/base/json.h"
#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/cache/track.h"
#include "common/codec/codec.h"
#include "common/codec/make_codec.h"
#include "tests/faults/fuzz.h"

namespace vitrine::testing {
namespace {

constexpr std::uint64_t kMax = 1 << 22;  // values or bytes that one input may ask for

// The file's declared type: the "format" of JSON or of a container's attributes.
std::string format_of(const std::string& json) {
  const auto about = parse_json(json);
  const auto format = about.is_object() ? about.value("format", nlohmann::json()) : nlohmann::json();
  return format.is_string() ? format.get<std::string>() : "";
}

Outcome outcome_of(const TrackInfo& track, std::span<const float> values) {
  Outcome outcome;
  outcome.hash = xxh3(std::as_bytes(values));
  if (track.codec.encoding == Encoding::kTransform)
    for (const float x : values) outcome.sum += std::fabs(x);
  return outcome;
}

void decode_groups(const Container& file, const TrackInfo& track, const Codec& codec, Outcome& outcome) {
  Container::Scratch scratch;
  std::vector<float> all, out(track.view_values() * kViews);
  const std::vector<ArrayLayout> layout = codec.layout();
  std::vector<std::vector<std::byte>> bytes(layout.size());
  std::uint64_t groups = ~0ull;
  for (std::size_t i = 0; i < layout.size(); ++i) {
    const DatasetInfo& info = file.datasets()[file.find(layout[i].name)];
    if (info.chunk_bytes() > kMax) return;
    bytes[i].resize(info.chunk_bytes());
    groups = std::min(groups, info.chunk_count);
  }
  for (std::uint64_t g = 0; g < std::min<std::uint64_t>(groups, 64); ++g) {
    std::vector<std::span<const std::byte>> arrays;
    for (std::size_t i = 0; i < layout.size(); ++i) {
      file.read_chunk(file.find(layout[i].name), g, scratch, bytes[i]);
      arrays.push_back(bytes[i]);
    }
    try {
      codec.decode(arrays, kViews, out);
    } catch (const Error& error) {
      throw error.at({.path = file.path().string(), .group = static_cast<std::int64_t>(g)});
    }
    all.insert(all.end(), out.begin(), out.end());
  }
  outcome = outcome_of(track, all);
}

void read_shard(const Container& file, const std::shared_ptr<const FeatureBasis>& basis, Outcome& outcome) {
  const auto json = parse_json(file.json());
  if (!json.contains("track")) return;
  const TrackInfo track = TrackInfo::from_json(json["track"].dump(), file.path().string());
  if (track.view_values() > kMax) return;
  const bool transform = track.codec.encoding == Encoding::kTransform;
  if (transform && track.codec.basis != basis->hash()) return;  // a cache refuses the track before its shards
  decode_groups(file, track, *make_codec(track.codec, track.shape, transform ? basis : nullptr), outcome);
}

// An accepted text must round-trip through its own output.
void read_json(const std::string& text, const std::string& where) {
  const std::string format = format_of(text);
  if (format == "vitrine shards") {
    const Manifest manifest = Manifest::parse(text, where);
    if (!(Manifest::parse(manifest.json(), where) == manifest)) throw std::logic_error("a list of shards changed");
  } else if (format == "vitrine track") {
    const TrackInfo track = TrackInfo::from_file_text(text, where);
    if (!differences(TrackInfo::from_file_text(track.file_text(), where), track).empty())
      throw std::logic_error("a track changed");
    if (track.codec.encoding != Encoding::kTransform) make_codec(track.codec, track.shape);
  } else {
    Plan::options_from_json(text, where);
  }
}

}  // namespace

Surroundings::Surroundings(const std::filesystem::path& golden)
    : basis_(std::make_shared<const FeatureBasis>(read_basis(golden / "basis.h5"))) {
  std::filesystem::create_directory(cache_ / "recipes");
  for (const char* name : {"index.h5", "plan.json"}) std::filesystem::copy_file(golden / name, cache_ / name);
}

void Surroundings::read_recipes(const std::filesystem::path& path) const {
  std::filesystem::remove(cache_ / "recipes/00000.h5");
  std::filesystem::create_symlink(std::filesystem::absolute(path), cache_ / "recipes/00000.h5");
  const Cache cache(cache_.path());
  for (std::uint32_t g = 0; g < cache.plan().groups_per_pass(); ++g) {
    cache.recipes({0, g});
    cache.picture_hash({0, g});
  }
}

Outcome Surroundings::read_container(const std::filesystem::path& path) const {
  Outcome outcome = read_everything(path, kMax);
  if (!outcome.error.empty()) return outcome;
  const Container file(path);
  for (const DatasetInfo& info : file.datasets())
    if (info.chunk_bytes() > kMax) return outcome;
  const std::string format = format_of(file.json());
  if (format == "vitrine index") {
    const PlanOptions options = Plan::options_from_json(read_file(cache_ / "plan.json"), "plan.json");
    Plan(std::make_shared<const ImageIndex>(read_index(path)), options);
  } else if (format == "vitrine basis") {
    read_basis(path);
  } else if (format == "vitrine recipes") {
    read_recipes(path);
  } else if (format == "vitrine shard") {
    read_shard(file, basis_, outcome);
  }
  return outcome;
}

Outcome Surroundings::read(const std::filesystem::path& path) const {
  Outcome outcome;
  try {
    const std::string bytes = read_file(path);
    if (!bytes.starts_with('{')) return read_container(path);
    outcome.hash = xxh3(bytes);
    read_json(bytes, path.string());
  } catch (const Error& error) {
    // Recipes are read through a link.
    outcome.error = error.what();
    outcome.kind = error.kind();
    const std::string link = (cache_ / "recipes/00000.h5").string();
    if (outcome.error.starts_with(link)) outcome.error.replace(0, link.size(), path.string());
  }
  return outcome;
}

Outcome read_track(const Cache& cache, const TrackInfo& track) {
  const TrackReader reader(cache, track);
  TrackReader::Scratch scratch;
  std::vector<float> all, out(track.view_values() * cache.plan().options().group);
  for (const std::uint32_t pass : reader.passes())
    for (std::uint32_t g = 0; g < cache.plan().groups_per_pass(); ++g) {
      reader.read({pass, g}, scratch, out);
      all.insert(all.end(), out.begin(), out.end());
    }
  return outcome_of(track, all);
}

StoredGroup stored_group(const std::filesystem::path& path, const std::shared_ptr<const FeatureBasis>& basis) {
  const Container file(path);
  Container::Scratch scratch;
  const auto json = nlohmann::json::parse(file.json());
  const TrackInfo track = TrackInfo::from_json(json.at("track").dump(), path.string());
  StoredGroup group{
      make_codec(track.codec, track.shape, track.codec.encoding == Encoding::kTransform ? basis : nullptr),
      track.view_values() * kViews,
      {}};
  for (const ArrayLayout& array : group.codec->layout()) {
    const std::size_t dataset = file.find(array.name);
    group.arrays.emplace_back(file.datasets()[dataset].chunk_bytes());
    file.read_chunk(dataset, 0, scratch, group.arrays.back());
  }
  return group;
}

void read_forged(const Surroundings& surroundings, MemoryFile& file, std::string bytes) {
  file.hold(bytes);
  surroundings.read(file.path());
  if (bytes.starts_with('{')) {
    const std::size_t check = bytes.rfind(",\n  \"check\"");
    if (check == std::string::npos) return;
    file.hold(vitrine::with_check(bytes.substr(0, check) + "\n}\n"));
    surroundings.read(file.path());
    return;
  }
  for (const bool chunks : {false, true}) {
    forge_checksums(bytes, chunks);
    file.hold(bytes);
    surroundings.read(file.path());
  }
}

}  // namespace vitrine::testing
