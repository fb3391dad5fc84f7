// The file basis.h5 beside the track.json of a track in the transform encoding (FORMAT.md).
#ifndef VITRINE_COMMON_CACHE_BASIS_FILE_H_
#define VITRINE_COMMON_CACHE_BASIS_FILE_H_

#include <filesystem>
#include <memory>

#include "common/cache/track.h"
#include "common/codec/transform/basis.h"

namespace vitrine {

/// Below the cache's directory.
std::filesystem::path basis_path(const TrackInfo& track);

/// Publishes the file. Equal bases give equal bytes.
void write_basis(const std::filesystem::path& path, const FeatureBasis& basis);

/// Throws Error for a file that is missing, damaged or not the basis that its own hash names.
FeatureBasis read_basis(const std::filesystem::path& path);

/// The basis that a track of a cache needs: nothing for other encodings. Throws Error also when the file has another
/// hash than track.json names.
std::shared_ptr<const FeatureBasis> load_basis(const std::filesystem::path& cache, const TrackInfo& track);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_BASIS_FILE_H_
