#include "common/cache/shard_draft.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/cache/container.h"
#include "common/cache/container_writer.h"
#include "common/cache/shard_directory.h"
#include "common/cache/writer.h"
#include "common/codec/frame.h"

namespace vitrine {

namespace {

// Copies the frame to drop compress_frame()'s spare capacity.
std::vector<std::byte> frame_of(const std::vector<std::byte>& bytes, const Compression& compression) {
  std::vector<std::byte> frame = compress_frame(bytes, compression);
  frame.shrink_to_fit();
  return frame;
}

}  // namespace

ShardDraft::ShardDraft(TrackInfo track, const Plan& plan, std::uint32_t pass, std::uint32_t shard,
                       std::vector<ArrayLayout> layout)
    : plan_(plan),
      track_(std::move(track)),
      pass_(pass),
      shard_(shard),
      layout_(std::move(layout)),
      groups_(plan.layout().span_of({pass, shard}).groups),
      frames_(groups_.size()),
      bytes_(groups_.size(), std::vector<std::size_t>(layout_.size(), 0)) {
  if (track_.plan_hash != plan.hash()) throw std::logic_error("the track is of another plan");
}

void ShardDraft::set(std::uint32_t g, std::vector<Array> arrays) {
  if (!std::ranges::equal(arrays, layout_, [](const Array& array, const ArrayLayout& wanted) {
        return array.name == wanted.name && array.dtype == wanted.dtype;
      }))
    throw std::logic_error("the arrays do not match the track's encoding");
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    bytes_[g][i] = arrays[i].bytes.size();
    if (!layout_[i].whole_group && bytes_[g][i] != layout_[i].view_bytes() * plan_.options().group)
      throw std::logic_error(text("array ", arrays[i].name, " of group ", g, " has ", bytes_[g][i], " bytes"));
  }
  frames_[g].resize(layout_.size());
  for (std::size_t i = 0; i < layout_.size(); ++i) {
    if (layout_[i].whole_group) continue;
    frames_[g][i] = frame_of(arrays[i].bytes, track_.compression);
    arrays[i].bytes = std::vector<std::byte>();  // {} would keep the capacity
  }
  groups_[g] = std::move(arrays);
}

void ShardDraft::compress(std::uint32_t g) {
  for (std::size_t i = 0; i < layout_.size(); ++i) {
    if (!layout_[i].whole_group) continue;
    std::vector<std::byte>& bytes = groups_[g][i].bytes;
    for (const std::vector<std::size_t>& other : bytes_)
      bytes.resize(std::max({bytes.size(), other[i], std::size_t{1}}));
    frames_[g][i] = frame_of(bytes, track_.compression);
    bytes = std::vector<std::byte>();
  }
}

std::uint64_t ShardDraft::held_bytes() const {
  std::uint64_t held = 0;
  for (const std::vector<Array>& group : groups_)
    for (const Array& array : group) held += array.bytes.capacity();
  for (const auto& group : frames_)
    for (const std::vector<std::byte>& frame : group) held += frame.capacity();
  return held;
}

FileRecord ShardDraft::publish(const std::filesystem::path& cache, const ShardNotes& notes) {
  std::vector<DatasetSpec> datasets;
  const std::uint32_t group_views = plan_.options().group;
  for (std::size_t i = 0; i < layout_.size(); ++i) {
    DatasetSpec spec{layout_[i].name, layout_[i].dtype, {std::uint64_t{groups()} * group_views}, group_views, {}};
    if (layout_[i].whole_group) {
      std::size_t longest = 1;
      for (const std::vector<std::size_t>& group : bytes_) longest = std::max(longest, group[i]);
      spec.shape = {groups(), longest};
      spec.chunk_rows = 1;
    } else {
      spec.shape.insert(spec.shape.end(), layout_[i].view_shape.begin(), layout_[i].view_shape.end());
    }
    for (auto& group : frames_) {
      if (group.size() != layout_.size() || group[i].empty()) throw std::logic_error("a group was not compressed");
      spec.frames.push_back(std::move(group[i]));
    }
    datasets.push_back(std::move(spec));
  }
  nlohmann::ordered_json json;
  json["format"] = kShardFormat;
  json["pass"] = pass_;
  json["shard"] = shard_;
  json["first_group"] = plan_.layout().span_of({pass_, shard_}).first_group;
  json["groups"] = groups();
  json["written_by"] = written_by();
  json["made_with"] = to_json(notes.made_with.value_or(track_.made_with));
  if (!notes.loss.empty()) json["loss"] = nlohmann::ordered_json::parse(notes.loss);
  json["track"] = nlohmann::ordered_json::parse(track_.json());
  return write_container(
      cache / track_.directory() / shard_file_name(plan_.layout().number_of(ShardKey{pass_, shard_})),
      std::move(datasets), json.dump(), track_.compression.level,
      is_plain(track_.codec.encoding) ? 0 : table::kFlagEncodings);
}

}  // namespace vitrine
