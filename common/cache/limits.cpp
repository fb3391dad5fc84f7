#include "common/cache/limits.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/codec/codec.h"

namespace vitrine {
namespace {

constexpr std::uint64_t kMaxChunkBytes = (1ull << 32) - 1;  // table.h counts them in 32 bits
constexpr std::uint64_t kMaxTransformValues = 1ull << 29;   // encode_items()
constexpr std::uint64_t kMaxUniformValues = 1ull << 30;     // at most 4 bytes each, low bits or planes

}  // namespace

std::uint64_t largest_group(const TrackInfo& track, std::uint32_t step) {
  std::uint64_t views = kMaxChunkBytes;
  if (track.codec.encoding == Encoding::kTransform) {
    views = kMaxTransformValues / track.view_values();
  } else if (track.codec.encoding == Encoding::kUniform) {
    // The row of means takes the place of one more view.
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
