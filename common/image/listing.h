// Lists the files of a data set without reading them.
#ifndef VITRINE_COMMON_IMAGE_LISTING_H_
#define VITRINE_COMMON_IMAGE_LISTING_H_

#include <string>
#include <vector>

#include "common/image/folders.h"
#include "common/image/left_out.h"
#include "common/plan/image_index.h"

namespace vitrine {

struct Listing {
  std::vector<std::string> classes;  ///< class folders by name; empty with Labels::kNone
  std::vector<ImageEntry> files;     ///< ids and labels, ascending by id; other fields are zero
  std::vector<LeftOut> left_out;     ///< files and folders that are skipped, with the reason; unordered
};

/// Lists all files, following links to folders. A skipped folder (hidden, junk, a link to a parent) is one entry.
/// Throws Error for a missing folder, fewer class folders than least_classes, an `unlabelled` above, below or at
/// `images`, and a folder that cannot be listed.
Listing list_images(const ImageFolders& folders);

/// Whether the name is that of a folder created by a system or program: __MACOSX, @eaDir, lost+found, $RECYCLE.BIN.
bool is_junk_folder(const std::string& name);
/// Whether the name is that of a known non-image file that accompanies images: Thumbs.db, *.xmp, *.json, *.txt.
bool is_sidecar(const std::string& name);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_LISTING_H_
