// Scans the images for a preparation, or compares them with the cache's index.
#ifndef VITRINE_EXTRACT_PREPARE_IMAGES_H_
#define VITRINE_EXTRACT_PREPARE_IMAGES_H_

#include <filesystem>
#include <memory>

#include "common/base/stop.h"
#include "common/image/bad_pictures.h"
#include "common/image/scan.h"
#include "extract/options.h"

namespace vitrine {

struct PreparedImages {
  FolderScan scan;                          ///< result of the scan; its index has been moved out
  std::shared_ptr<const ImageIndex> index;  ///< the scanned index
  std::shared_ptr<BadPictures> bad;         ///< unreadable images of the index, and the policy for later ones
  double hold_out = 0;                      ///< share of the folder that is not in the index
};

/// Scans the folders as the options say, against the cache's index if there is one, and prints what is left out. Writes
/// nothing. Throws Error, and Stopped between two files.
PreparedImages scan_for_cache(const ExtractOptions& options, const StopFlag& stop);

/// Writes index_record.json and left_out.tsv beside the index, unless they are up to date.
void write_index_record_and_left_out(const std::filesystem::path& cache, const PreparedImages& images);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_PREPARE_IMAGES_H_
