// One file of a data set: is it a picture, and what is it like?
#ifndef VITRINE_COMMON_IMAGE_LOOK_H_
#define VITRINE_COMMON_IMAGE_LOOK_H_

#include <optional>

#include "common/image/scan.h"

namespace vitrine {

struct Look {
  std::optional<LeftOut> left_out;  ///< none for a picture
  bool rotated = false, deep_grey = false;
};

/// Fills in the entry's sizes and hash when the file is a picture. A file that is none is not read beyond its first
/// bytes. One that the system fails to read is tried twice. Any thread. Throws Error for what is not the file's fault
/// (memory, file handles).
Look look_at(const ImageFolders& folders, ImageEntry& entry, IndexDepth depth, const Decoding& decoding);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_LOOK_H_
