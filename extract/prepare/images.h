// The images of a preparation: scanned, or held against the cache's index.
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
  FolderScan scan;                          ///< but for its index, which is
  std::shared_ptr<const ImageIndex> index;  ///< this one
  std::shared_ptr<BadPictures> bad;         ///< those of the index that cannot be had now, and what becomes of others
};

/// Looks at the folders as the options say, with the index of the cache where it has one, and says what is left out.
/// Writes nothing. Throws Error, and Stopped between two files.
PreparedImages scan_for_cache(const ExtractOptions& options, const StopFlag& stop);

/// Writes index_record.json and left_out.tsv beside the index, where they do not say the same already.
void write_what_is_known(const std::filesystem::path& cache, const PreparedImages& images);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_PREPARE_IMAGES_H_
