// What lies below the folders of a data set, none of it read.
#ifndef VITRINE_COMMON_IMAGE_LISTING_H_
#define VITRINE_COMMON_IMAGE_LISTING_H_

#include <string>
#include <vector>

#include "common/image/folders.h"
#include "common/image/left_out.h"
#include "common/plan/image_index.h"

namespace vitrine {

struct Listing {
  std::vector<std::string> classes;  ///< class folders by name; none with Labels::kNone
  std::vector<ImageEntry> files;     ///< ids and labels, ascending by id; all else is zero
  std::vector<LeftOut> left_out;     ///< what is no file to look at, with its kind; in no order
};

/// Lists all files, following links to folders. A folder that is left out (hidden, junk, a link to a folder above it)
/// is one entry. Throws Error as scan_images() does for missing folders, fewer than two class folders, and an
/// `unlabelled` above, below or at `images`; and for a folder that cannot be listed.
Listing list_images(const ImageFolders& folders);

/// Whether the folder is one that systems and programs leave behind: __MACOSX, @eaDir, lost+found, $RECYCLE.BIN.
bool is_junk_folder(const std::string& name);
/// Whether a file of that name, which is no picture, holds data beside pictures: Thumbs.db, *.xmp, *.json, *.txt.
bool is_sidecar(const std::string& name);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_LISTING_H_
