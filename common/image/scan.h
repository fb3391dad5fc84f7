// Folders of images into an index. With labels: class folders (torchvision's ImageFolder), root/<class>/.../<image>,
// classes in the order of their names, labels their numbers. Without: whatever lies below a folder.
#ifndef VITRINE_COMMON_IMAGE_SCAN_H_
#define VITRINE_COMMON_IMAGE_SCAN_H_

#include <cstddef>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "common/image/folders.h"
#include "common/plan/image_index.h"

namespace vitrine {

/// A file that is not in the index, and why.
struct LeftOut {
  std::string id;  ///< path below the root
  std::string reason;
};

/// Reads every file below the folders once, in parallel: its header for the size, its content for the hash. A
/// file whose end is not where its format wants it is decoded as well, to see; damage in the middle of a file is only
/// found when a view of it is made. Links to folders are followed.
///
/// Files and folders whose name begins with a dot are passed over. Files that are no readable image, or whose path is
/// not UTF-8, go to `left_out` (may be null), sorted by id, as does a class folder without an image (as "CLASS/"); such
/// a class keeps its number, so that the labels of a training and a test folder with the same class folders agree.
/// Images are sorted by id; those of folders.unlabelled have kUnlabelledPrefix before their path. Throws Error for a
/// missing folder, fewer than two class folders (with labels), a folder without an image, and an `unlabelled` above,
/// below or at `images`, and Stopped between two files once `stop` is set.
ImageIndex scan_image_folder(const ImageFolders& folders, std::vector<LeftOut>* left_out,
                             const StopFlag& stop = never_stop());

/// How far an index that was made of a folder before is believed.
enum class VerifyImages {
  kSample,  ///< list every file and ask for its size, read those of verified_sample() and those the index does not know
  kAll      ///< read every file
};

/// The same, for a folder whose index is `known`: entries whose id, label and size are still right are taken from there
/// as they are, all but a sample, which is read again. What it returns differs from `known` if a file came, went, has
/// another size, or is of the sample and has other contents; contents that changed elsewhere at equal size are found
/// when a view of the file is made (views.h).
ImageIndex scan_image_folder(const ImageFolders& folders, std::vector<LeftOut>* left_out, const ImageIndex& known,
                             VerifyImages verify, const StopFlag& stop = never_stop());

/// The files below the folders, none of them read: ids and labels, ascending by id; sizes and hashes are zero. What is
/// no image is listed too, as long as its name is UTF-8. Throws Error for folders as scan_image_folder() does, but not
/// for one without an image.
ImageIndex list_image_folder(const ImageFolders& folders);

/// Reads the file of a listed entry as a scan does, and fills in its sizes and hash. Throws Error, naming the image,
/// for what is no readable one. Any thread.
void read_image_entry(const ImageFolders& folders, ImageEntry& entry);

/// Which images are read: one in a hundred but at least 256 (or all), spread evenly, always the same. Ascending.
std::vector<std::size_t> verified_sample(std::size_t images);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_SCAN_H_
