// A folder of class folders (torchvision's ImageFolder) into an index: root/<class>/.../<image>, classes in the order
// of their names, labels their numbers.
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

/// Reads every file below the class folders once, in parallel: its header for the size, its content for the hash. A
/// file whose end is not where its format wants it is decoded as well, to see; damage in the middle of a file is only
/// found when a view of it is made. Links to folders are followed.
///
/// Files and folders whose name begins with a dot are passed over. Files that are no readable image go to `left_out`
/// (may be null), sorted by id, as does a class folder without an image (as "CLASS/"); such a class keeps its number,
/// so that the labels of a training and a test folder with the same class folders agree. Images are sorted by id.
/// Throws Error for a missing folder, fewer than two class folders, and no image at all.
ImageIndex scan_image_folder(const std::filesystem::path& root, std::vector<LeftOut>* left_out);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_SCAN_H_
