#include <torch/torch.h>

#include "train/run/training_views.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/image/image.h"
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

void add_picture(EventFile& events, const std::string& tag, const Image& image) {
  const std::vector<std::byte> png = encode_png(image);
  events.add_image(0, tag, image.width, image.height, {reinterpret_cast<const char*>(png.data()), png.size()});
}

}  // namespace

void add_training_views(EventFile& events, const TargetSource& source, const ViewMaker& views,
                        const StreamOptions& options, std::uint32_t pass) {
  if (source.needs_pictures()) return;
  const GroupBatch group = make_group(source, views, options, {0, {pass, 0}});
  std::uint32_t shown = 0;
  for (std::uint32_t view = 0; view < group.views && shown < kShownViews; ++view) {
    if (group.left_out[view] != 0) continue;
    const Image picture = picture_of(group, view, options.size);
    add_picture(events, text("views/", shown), picture);
    ++shown;
  }
}

}  // namespace vitrine
