// Examines one file of a data set.
#ifndef VITRINE_COMMON_IMAGE_LOOK_H_
#define VITRINE_COMMON_IMAGE_LOOK_H_

#include <optional>

#include "common/image/scan.h"

namespace vitrine {

struct Look {
  std::optional<LeftOut> left_out;  ///< nullopt for an image
  bool rotated = false, grey16 = false;
};

/// Fills in the entry's size and hash if the file is an image. Other files are read only up to the first bytes. Retries
/// once when reading fails. Thread-safe. Throws Error if the file is not at fault (memory, file handles).
Look look_at(const ImageFolders& folders, ImageEntry& entry, IndexDepth depth, const Decoding& decoding);

/// As look_at(), by the name and the first bytes alone: why the file is no image, or nullopt for what begins as one.
std::optional<LeftOut> look_at_head(const ImageFolders& folders, const ImageEntry& entry);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_LOOK_H_
