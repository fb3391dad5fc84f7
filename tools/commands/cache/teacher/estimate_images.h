// The images of an estimate: counts all of them, but reads only a sample.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_ESTIMATE_IMAGES_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_ESTIMATE_IMAGES_H_

#include <cstdint>
#include <filesystem>
#include <memory>

#include "common/image/folders.h"
#include "common/plan/image_index.h"

namespace vitrine {

struct EstimateImages {
  /// The cache's index, or an approximation: the listed files, reduced by the share of non-images among those read;
  /// files that were not read get the sizes of others.
  std::shared_ptr<const ImageIndex> all;
  std::shared_ptr<const ImageIndex> sample;  ///< unbiased sample of `all`; with exact records
  bool indexed = false;                      ///< `all` is the cache's index
  std::uint64_t unreadable = 0;              ///< files that were read and are not images
};

/// Samples `count` images, or all if there are fewer. `cache`: empty, or a directory whose index, if any, is used as
/// is; otherwise the images are read with `decoding`. Throws Error for folders that cannot be listed, and when no file
/// is an image.
EstimateImages estimate_images(const ImageFolders& folders, const Decoding& decoding,
                               const std::filesystem::path& cache, std::size_t count, std::uint64_t seed);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_ESTIMATE_IMAGES_H_
