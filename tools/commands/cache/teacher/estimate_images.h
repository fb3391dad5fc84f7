// The images that an estimate rests on: all are counted, and only those of the sample are read.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_ESTIMATE_IMAGES_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_ESTIMATE_IMAGES_H_

#include <cstdint>
#include <filesystem>
#include <memory>

#include "common/image/folders.h"
#include "common/plan/image_index.h"

namespace vitrine {

struct EstimateImages {
  /// The cache's index, or a guess at it: the files listed, as many as there are images by what was read, those that
  /// were not read with sizes of those that were.
  std::shared_ptr<const ImageIndex> all;
  std::shared_ptr<const ImageIndex> sample;  ///< drawn from all without bias; what they say of their files is true
  bool indexed = false;                      ///< `all` is the cache's index
  std::uint64_t unreadable = 0;              ///< files that were read and are no image
};

/// A sample of `count` images, or all where there are fewer. `cache`: empty, or a directory that may have an index; it
/// is believed, else `decoding` is that of the images. Throws Error for folders that cannot be listed, and when no file
/// is an image.
EstimateImages estimate_images(const ImageFolders& folders, const Decoding& decoding,
                               const std::filesystem::path& cache, std::size_t count, std::uint64_t seed);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_ESTIMATE_IMAGES_H_
