#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/cache/basis_file.h"
#include "common/cache/track.h"
#include "common/codec/codec.h"
#include "tests/faults/fuzz.h"

namespace vitrine::testing {
namespace {

constexpr std::uint32_t kViews = 4;
constexpr std::uint64_t kMost = 1 << 22;  // values or bytes that one input may ask for

void decode_groups(const Container& file, const TrackInfo& track, const Codec& codec, Outcome& outcome) {
  Container::Scratch scratch;
  std::vector<float> all, out(track.view_values() * kViews);
  const std::vector<ArrayLayout> layout = codec.layout();
  std::vector<std::vector<std::byte>> bytes(layout.size());
  std::uint64_t groups = ~0ull;
  for (std::size_t i = 0; i < layout.size(); ++i) {
    const DatasetInfo& info = file.datasets()[file.find(layout[i].name)];
    if (info.chunk_bytes() > kMost) return;
    bytes[i].resize(info.chunk_bytes());
    groups = std::min(groups, info.chunk_count);
  }
  for (std::uint64_t g = 0; g < std::min<std::uint64_t>(groups, 64); ++g) {
    std::vector<std::span<const std::byte>> arrays;
    for (std::size_t i = 0; i < layout.size(); ++i) {
      file.read_chunk(file.find(layout[i].name), g, scratch, bytes[i]);
      arrays.push_back(bytes[i]);
    }
    codec.decode(arrays, kViews, out);
    all.insert(all.end(), out.begin(), out.end());
  }
  outcome.hash = xxh3(std::as_bytes(std::span(all)));
  if (track.codec.form == Form::kTransform)
    for (const float x : all) outcome.sum += std::fabs(x);
}

}  // namespace

Outcome read_as_track(const std::filesystem::path& path, const std::shared_ptr<const FeatureBasis>& basis) {
  Outcome outcome = read_everything(path, kMost);
  if (!outcome.error.empty()) return outcome;
  try {
    const Container file(path);
    const auto json = nlohmann::json::parse(file.json(), nullptr, false);
    if (!json.is_object() || !json.contains("track")) return outcome;
    const TrackInfo track = TrackInfo::from_json(json["track"].dump(), path.string());
    if (track.view_values() > kMost) return outcome;
    const bool transform = track.codec.form == Form::kTransform;
    if (transform && track.codec.basis != basis->hash()) return outcome;  // a cache refuses the track before its shards
    decode_groups(file, track, *make_codec(track.codec, track.shape, transform ? basis : nullptr), outcome);
  } catch (const Error& error) {
    outcome.error = error.what();
  }
  return outcome;
}

StoredGroup stored_group(const std::filesystem::path& path, const std::shared_ptr<const FeatureBasis>& basis) {
  const Container file(path);
  Container::Scratch scratch;
  const auto json = nlohmann::json::parse(file.json());
  const TrackInfo track = TrackInfo::from_json(json.at("track").dump(), path.string());
  StoredGroup group{make_codec(track.codec, track.shape, track.codec.form == Form::kTransform ? basis : nullptr),
                    track.view_values() * kViews,
                    {}};
  for (const ArrayLayout& array : group.codec->layout()) {
    const std::size_t dataset = file.find(array.name);
    group.arrays.emplace_back(file.datasets()[dataset].chunk_bytes());
    file.read_chunk(dataset, 0, scratch, group.arrays.back());
  }
  return group;
}

std::shared_ptr<const FeatureBasis> golden_basis() {
  static const auto basis = std::make_shared<const FeatureBasis>(read_basis(VITRINE_GOLDEN "/basis.h5"));
  return basis;
}

}  // namespace vitrine::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vitrine::testing;
  static MemoryFile file;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto read = [&] {
    file.hold(bytes);
    read_as_track(file.path(), golden_basis());
  };
  read();
  for (const bool chunks : {false, true}) {
    forge_checksums(bytes, chunks);
    read();
  }
  return 0;
}
