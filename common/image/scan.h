// A folder of class folders (torchvision's ImageFolder) into an index: root/<class>/.../<image>, classes in the order of
// their names, labels their numbers.
#ifndef VITRINE_COMMON_IMAGE_SCAN_H_
#define VITRINE_COMMON_IMAGE_SCAN_H_

#include <filesystem>
#include <string>
#include <vector>

#include "common/plan/image_index.h"

namespace vitrine {

/// A file that is not in the index, and why.
struct LeftOut {
  std::string id;  ///< path below the root
  std::string reason;
};

/// Reads every file below the class folders once (in parallel): its header for the size, its content for the hash, and the
/// last bytes of a JPEG for its end. Files and folders whose name begins with a dot are passed over; files that are no
/// readable image go to `left_out` (may be null), sorted by id, as does a class folder without an image ("<class>/"): a
/// class keeps its number then, so that labels agree with ImageFolder's. Ids are sorted. Errors: a missing folder, fewer
/// than two classes, no image at all.
ImageIndex scan_image_folder(const std::filesystem::path& root, std::vector<LeftOut>* left_out);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_SCAN_H_
