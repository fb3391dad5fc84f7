// A cheap check, by file sizes, that a folder is the one a cache's index was made from; for processes that do not scan.
#ifndef VITRINE_EXTRACT_RUN_FOLDER_CHECK_H_
#define VITRINE_EXTRACT_RUN_FOLDER_CHECK_H_

#include "common/image/bad_pictures.h"
#include "common/image/folders.h"
#include "common/plan/image_index.h"

namespace vitrine {

/// Compares the file sizes of the images in verified_sample() (scan.h) with the index, and notes how many there were.
/// Reads no file: each picture's content is checked when a view needs it (views.h). Does not detect added files. Throws
/// Error that names the first image that is missing or has another size; with BadImages::kSkip only if more than half
/// of the sample fails. Also throws when `folders` and the index differ in having labels or unlabelled images.
void check_folder(const ImageFolders& folders, const ImageIndex& index, BadImages policy);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_FOLDER_CHECK_H_
