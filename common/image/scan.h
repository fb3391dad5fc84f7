// Folders of images into an index. With labels: class folders (torchvision's ImageFolder), root/<class>/.../<image>,
// classes in the order of their names, labels their numbers. Without: whatever lies below a folder.
#ifndef VITRINE_COMMON_IMAGE_SCAN_H_
#define VITRINE_COMMON_IMAGE_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/stop.h"
#include "common/image/folders.h"
#include "common/image/left_out.h"
#include "common/plan/image_index.h"

namespace vitrine {

/// How far a file is looked at before it enters an index. Its content is read and hashed either way.
enum class IndexDepth : std::uint8_t {
  kHeaders,  ///< its header; a file whose end is not where its format wants it is decoded as well. Fast
  kDecode    ///< the whole picture is decoded: damage in its middle is found now, not when a view of it is made
};

/// How far an index that was made of a folder before is believed.
enum class VerifyImages {
  kSample,  ///< list every file and ask for its size, read those of verified_sample() and those the index does not know
  kAll      ///< read every file
};

/// What a user may want to know of pictures that are in the index.
struct PictureCounts {
  std::uint64_t rotated = 0;    ///< EXIF orientation other than upright, ignored or applied (decode.h)
  std::uint64_t deep_grey = 0;  ///< 16-bit grey, clipped or scaled (decode.h)
  std::uint64_t looked_at = 0;  ///< pictures whose files were read
  bool operator==(const PictureCounts&) const = default;
};

/// An index that was made before, and what is known of it.
struct KnownIndex {
  ImageIndex index;
  std::vector<LeftOut> left_out = {};  ///< when it was made and since
  IndexDepth depth = IndexDepth::kHeaders;
  std::optional<PictureCounts> counts = {};
};

struct ScanOptions {
  IndexDepth depth = IndexDepth::kHeaders;
  VerifyImages verify = VerifyImages::kSample;  ///< with a known index
  /// With a known index: images that are gone, have changed or cannot be read any more stay in the index, and go to
  /// FolderScan::bad.
  bool keep_bad = false;
  bool progress = false;  ///< show it
  /// Throws Stopped between two files once it is set.
  const StopFlag* stop = &never_stop();
  Decoding decoding = {};  ///< of a new index; a known one has its own
};

struct FolderScan {
  ImageIndex index;
  std::vector<LeftOut> left_out;  ///< ascending by id
  /// With ScanOptions::keep_bad: images of the index that cannot be had now, by their numbers.
  std::vector<std::pair<std::uint32_t, LeftOut>> bad;
  PictureCounts counts;
  IndexDepth depth = IndexDepth::kHeaders;  ///< reached for every image
};

/// Looks at every file below the folders, in parallel: at its first bytes, and when they are a picture's, at the whole
/// file, as ScanOptions::depth says. Links to folders are followed. What is no picture, or none that can be read, is
/// left out with its kind and reason, never in silence; so is a class folder without an image (as "CLASS/"), which
/// keeps its number, so that the labels of a training and a test folder with the same class folders agree. Images are
/// sorted by id; those of folders.unlabelled have kUnlabelledPrefix before their path. Throws Error for a missing
/// folder, fewer than two class folders (with labels), a folder without an image or that cannot be listed, and an
/// `unlabelled` above, below or at `images`.
FolderScan scan_images(const ImageFolders& folders, const ScanOptions& options);

/// The same for a folder whose index is known: with kSample, entries whose id, label and size are still right are taken
/// from there as they are, all but a sample, which is read again; unless the index was made with a lesser depth.
/// Without keep_bad, what it returns differs from the known one if a file came, went, has another size, or is of those
/// read and has other contents. Files that were left out when the index was made still are.
FolderScan scan_images(const ImageFolders& folders, const ScanOptions& options, const KnownIndex& known);

/// scan_images() by headers; `left_out` may be null.
ImageIndex scan_image_folder(const ImageFolders& folders, std::vector<LeftOut>* left_out,
                             const StopFlag& stop = never_stop(), const Decoding& decoding = {});

/// The files below the folders, none of them read: ids and labels, ascending by id; sizes and hashes are zero. What is
/// no image is listed too, as long as its name is UTF-8. Throws Error for folders as scan_images() does, but not for
/// one without an image.
ImageIndex list_image_folder(const ImageFolders& folders);

/// Reads the file of a listed entry as a scan does, and fills in its sizes and hash. Throws Error, naming the image,
/// for what is no readable one. Any thread.
void read_image_entry(const ImageFolders& folders, ImageEntry& entry, const Decoding& decoding);

/// Which images are read: one in a hundred but at least 256 (or all), spread evenly, always the same. Ascending.
std::vector<std::size_t> verified_sample(std::size_t images);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_SCAN_H_
