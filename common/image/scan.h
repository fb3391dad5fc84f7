// Builds an index from folders of images. With labels: class folders as in torchvision's ImageFolder,
// root/<class>/.../<image>; labels number the classes in name order. Without labels: all images below a folder.
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

/// How thoroughly a file is checked before it enters an index. Its content is read and hashed either way.
enum class IndexDepth : std::uint8_t {
  kHeaders,  ///< parse the header; decode only if the end of the file is not where the format expects it. Fast
  kDecode    ///< decode the whole image, which detects damage in its middle now rather than when a view is made
};

/// How strictly a rescan revalidates an existing index.
enum class VerifyImages {
  kSample,  ///< list all files and compare sizes; read those of verified_sample() and those not in the index
  kAll      ///< read every file
};

/// Counts of special images in the index.
struct PictureCounts {
  std::uint64_t rotated = 0;    ///< EXIF orientation other than upright, ignored or applied (decode.h)
  std::uint64_t grey16 = 0;     ///< 16-bit grey, clipped or scaled (decode.h)
  std::uint64_t looked_at = 0;  ///< images whose files were read
  bool operator==(const PictureCounts&) const = default;
};

/// An existing index and what is recorded beside it.
struct KnownIndex {
  ImageIndex index;
  std::vector<LeftOut> left_out = {};  ///< during indexing and since
  IndexDepth depth = IndexDepth::kHeaders;
  std::optional<PictureCounts> counts = {};
  std::optional<double> hold_out = {};  ///< share of the folder that was held out of it (hold_out.h)
};

struct ScanOptions {
  IndexDepth depth = IndexDepth::kHeaders;
  VerifyImages verify = VerifyImages::kSample;  ///< with a known index
  /// With a known index: images that are missing, changed or unreadable stay in the index and are listed in
  /// FolderScan::bad.
  bool keep_bad = false;
  bool progress = false;  ///< show progress
  /// Checked between files; throws Stopped when set.
  const StopFlag* stop = &never_stop();
  Decoding decoding = {};  ///< for a new index; a known one keeps its own
};

struct FolderScan {
  ImageIndex index;
  std::vector<LeftOut> left_out;  ///< ascending by id
  /// With ScanOptions::keep_bad: unavailable images of the index, by their numbers.
  std::vector<std::pair<std::uint32_t, LeftOut>> bad;
  PictureCounts counts;
  IndexDepth depth = IndexDepth::kHeaders;  ///< every image was checked at least to this depth
};

/// Examines every file below the folders, in parallel: the first bytes, and for images the whole file, as
/// ScanOptions::depth says. Links to folders are followed. Files that are not readable images are listed in left_out
/// with kind and reason, and so are class folders without an image (as "CLASS/"); these keep their number, so that the
/// labels of training and test folders with the same class folders agree. Images are sorted by id; ids in
/// folders.unlabelled start with kUnlabelledPrefix. Throws Error for a missing folder, fewer class folders than
/// least_classes (with labels), a folder that contains no image or cannot be listed, and an `unlabelled` above, below
/// or at `images`.
FolderScan scan_images(const ImageFolders& folders, const ScanOptions& options);

/// Rescans a folder whose index is known. With kSample, entries whose id, label and size are unchanged are reused
/// without reading the file, except for a sample, unless the index was made with a lesser depth. Without keep_bad, the
/// result differs from the known index if a file was added or removed, has another size, or was read and has other
/// contents. Files left out of the known index stay left out.
FolderScan scan_images(const ImageFolders& folders, const ScanOptions& options, const KnownIndex& known);

/// scan_images() with kHeaders; `left_out` may be null.
ImageIndex scan_image_folder(const ImageFolders& folders, std::vector<LeftOut>* left_out,
                             const StopFlag& stop = never_stop(), const Decoding& decoding = {});

/// Lists the files below the folders without reading them: ids and labels, ascending by id; sizes and hashes are zero.
/// Includes files that are not images, if their name is UTF-8. Throws Error for folders as scan_images() does, but
/// allows a folder without images.
ImageIndex list_image_folder(const ImageFolders& folders);

/// The files below the folders that begin as images do, by reading no more than their first bytes.
struct PictureListing {
  ImageIndex index;               ///< as of list_image_folder(), without the files in left_out
  std::vector<LeftOut> left_out;  ///< what scan_images() would leave out, but for damaged images; ascending by id
};

/// Throws Error as list_image_folder() does, and Stopped.
PictureListing list_by_header(const ImageFolders& folders, const StopFlag& stop = never_stop());

/// Reads the file of a listed entry as a scan with kDecode does, and fills in its size and hash. Returns why it is left
/// out if it is not a readable image. Throws Error for what is not the image's fault (memory). Thread-safe.
[[nodiscard]] std::optional<LeftOut> read_image_entry(const ImageFolders& folders, ImageEntry& entry,
                                                      const Decoding& decoding);

/// The images that kSample reads: 1 % but at least 256 (or all), evenly spaced, deterministic. Ascending.
std::vector<std::size_t> verified_sample(std::size_t images);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_SCAN_H_
