#include "train/run/training_views.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/image/image.h"
#include "common/image/overlay.h"
#include "common/image/write.h"

namespace vitrine {
namespace {

constexpr std::uint32_t kShownViews = 8;

Image picture_of(const GroupBatch& group, std::uint32_t view, int size) {
  Image out(size, size);
  const std::size_t bytes = out.rgb.size();
  std::copy_n(group.pictures.begin() + static_cast<std::ptrdiff_t>(view * bytes), bytes, out.rgb.begin());
  return out;
}

// The mean over the heads, with a maximum of 1; [H, W] of `shape` [heads, H, W].
std::vector<float> attention_of(const GroupBatch& group, std::uint32_t view, const std::vector<std::int64_t>& shape) {
  const auto heads = static_cast<std::size_t>(shape[0]), positions = static_cast<std::size_t>(shape[1] * shape[2]);
  const std::span<const float> all =
      std::span(group.targets.attention).subspan(view * heads * positions, heads * positions);
  std::vector<float> out(positions, 0.0f);
  for (std::size_t i = 0; i < all.size(); ++i) out[i % positions] += all[i];
  const float most = *std::ranges::max_element(out);
  for (float& one : out) one = most > 0 ? one / most : 0;
  return out;
}

void add_picture(EventFile& events, const std::string& tag, const Image& image) {
  const std::vector<std::byte> png = encode_png(image);
  events.add_image(0, tag, image.width, image.height, {reinterpret_cast<const char*>(png.data()), png.size()});
}

}  // namespace

void add_training_views(EventFile& events, const TargetSource& source, const ViewMaker& views,
                        const StreamOptions& options, std::uint32_t pass) {
  if (source.needs_pictures()) return;
  const GroupBatch group = make_group(source, views, options, {0, {pass, 0}});
  const std::vector<std::int64_t> shape = source.shapes().attention;
  std::uint32_t shown = 0;
  for (std::uint32_t view = 0; view < group.views && shown < kShownViews; ++view) {
    if (group.left_out[view] != 0) continue;
    const Image picture = picture_of(group, view, options.size);
    add_picture(events, text("views/", shown), picture);
    if (!group.targets.attention.empty())
      add_picture(
          events, text("attention/", shown),
          overlay(picture, attention_of(group, view, shape), static_cast<int>(shape[1]), static_cast<int>(shape[2])));
    ++shown;
  }
}

}  // namespace vitrine
