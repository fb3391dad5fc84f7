#include <utility>

#include "common/base/error.h"
#include "common/cache/attributes.h"
#include "common/cache/basis_file.h"
#include "common/cache/cache.h"
#include "common/codec/topk.h"
#include "common/codec/transform/transform_codec.h"

namespace vitrine {

TrackReader::TrackReader(const Cache& cache, const TrackInfo& track)
    : track_(track),
      shards_(cache.plan().layout()),
      basis_(load_basis(cache.directory(), track)),
      codec_(make_codec(track.codec, track.shape, basis_)) {
  layout_ = codec_->layout();
  // A copy of what the check needs: the reader may move while the shard_directory holds the check.
  std::vector<std::uint64_t> most;
  for (std::size_t i = 0; i < layout_.size(); ++i) most.push_back(codec_->max_bytes(i, shards_.group_views));
  const auto check = [wanted = track_, layout = layout_, most, shards = shards_](const Container& file,
                                                                                 std::uint64_t number) {
    const ShardSpan span = shards.span_of(number);
    const auto attribute = attributes(file, kShardFormat);
    expect_track(file, attribute, wanted);
    expect(file, attribute, "pass", span.key.pass);
    expect(file, attribute, "shard", span.key.shard);
    for (std::size_t i = 0; i < layout.size(); ++i) {
      const ArrayLayout& array = layout[i];
      if (file.find(array.name) != i)
        throw Error(ErrorKind::kInput, {.path = file.path().string(),
                                        .what = text("dataset ", array.name, " is not in its place in the table"),
                                        .remedy = "copy or make it again"});
      if (array.whole_group) {
        // How long the longest group is, this file alone knows; the codec knows how long one can be.
        const DatasetInfo& info = file.datasets()[i];
        if (info.shape.size() == 2 && info.shape[1] > most[i])
          throw Error(ErrorKind::kCorrupt, {.path = file.path().string(),
                                            .dataset = array.name,
                                            .what = text("has ", info.shape[1], " bytes for each group; a group takes ",
                                                         most[i], " at most"),
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
    fail(shard_directory_->directory().string(), ": group ", key.group, " is not there; a pass has ",
         shards_.groups_per_pass);
  const Container& file = shard_directory_->open(shards_.number_of(key));
  if (scratch.arrays.size() < layout_.size()) scratch.arrays.resize(layout_.size());
  scratch.spans.clear();
  for (std::size_t i = 0; i < layout_.size(); ++i) {
    // The table has been checked against the file, so that a chunk of a size that no such file could hold is not there.
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
         ", which keeps all classes; only a topk track has largest values and a tail");
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
