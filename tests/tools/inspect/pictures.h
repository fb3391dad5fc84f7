// A folder of drawn pictures and a cache of random targets over them, with the hashes of its real views.
#ifndef VITRINE_TESTS_TOOLS_INSPECT_PICTURES_H_
#define VITRINE_TESTS_TOOLS_INSPECT_PICTURES_H_

#include <memory>
#include <string>
#include <vector>

#include "common/cache/cache.h"
#include "common/image/scan.h"
#include "common/image/views.h"
#include "common/image/write.h"
#include "tests/cache/sample.h"
#include "tests/support/testing.h"
#include "tools/commands/draw/drawing.h"

namespace vitrine::testing {

/// 11 pictures of 4 classes; one pass of three groups of four views, with the sample's tracks.
struct PictureCache {
  TemporaryDirectory root;
  std::filesystem::path images = root / "images", directory = root / "cache";
  DrawingOptions drawing{.size = 48, .species = 2, .seed = 3};
  std::shared_ptr<const ImageIndex> index;
  std::unique_ptr<const Plan> plan;

  PictureCache() {
    const std::vector<std::string> classes = drawing_classes(drawing);
    for (std::uint64_t i = 0; i < 11; ++i) write_picture(i, i);
    index = std::make_shared<const ImageIndex>(scan_image_folder(images, nullptr));
    plan = std::make_unique<const Plan>(index, sample_options());
    const ViewMaker maker(images, index, plan->options().image_size);
    create_cache(directory, *index, *plan);
    for (std::uint32_t shard = 0; shard < plan->shards_per_pass(); ++shard) {
      std::vector<std::uint64_t> hashes;
      for (std::uint32_t g = 0; g < plan->layout().span_of(ShardKey{0, shard}).groups; ++g) {
        const std::uint32_t group = shard * plan->options().shard_groups + g;
        const std::vector<std::uint8_t> pictures = maker.group(plan->group(0, group), 32);
        hashes.push_back(picture_hash(std::span(pictures).subspan(group % 4 * 32 * 32 * 3, 32 * 32 * 3)));
      }
      write_recipes(directory, *plan, 0, shard, hashes);
      for (const TrackInfo& track : sample_tracks(*plan)) {
        create_track(directory, track);
        write_sample_shard(directory, *plan, track, 0, shard);
      }
    }
  }

  /// Writes drawing `number` as picture `place`.
  void write_picture(std::uint64_t place, std::uint64_t number) const {
    const std::vector<std::byte> jpeg = encode_jpeg(draw_picture(drawing, number), 90);
    write_whole(images / drawing_classes(drawing)[static_cast<std::size_t>(drawing_label(drawing, place))] /
                    (std::to_string(place) + ".jpg"),
                {reinterpret_cast<const char*>(jpeg.data()), jpeg.size()});
  }
};

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_TOOLS_INSPECT_PICTURES_H_
