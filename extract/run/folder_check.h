// Whether a folder is the one that a cache's index was made from, at the price of a few file sizes: for processes that
// leave the scan to the one that prepared the cache.
#ifndef VITRINE_EXTRACT_RUN_FOLDER_CHECK_H_
#define VITRINE_EXTRACT_RUN_FOLDER_CHECK_H_

#include "common/image/bad_pictures.h"
#include "common/image/folders.h"
#include "common/plan/image_index.h"

namespace vitrine {

/// Asks for the sizes of the images in verified_sample() (scan.h), and notes how many that were. No file is read: each
/// picture's content is held against the index when a view needs it (views.h). Files that were added to the folder are
/// not looked for. Throws Error that names the first image that is missing or has another size; with BadImages::kSkip
/// only when that is more than half of them. Also when `folders` has labels or unlabelled images and the index has
/// none, or the other way round.
void check_folder(const ImageFolders& folders, const ImageIndex& index, BadImages policy);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_FOLDER_CHECK_H_
