// Writes a container. The bytes depend only on the arguments and the versions of libzstd and HDF5.
#ifndef VITRINE_COMMON_CACHE_CONTAINER_WRITER_H_
#define VITRINE_COMMON_CACHE_CONTAINER_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "common/base/files.h"
#include "common/cache/shard_directory.h"

namespace vitrine {

/// A field of a compound type. Only visible through HDF5; this reader treats items as opaque bytes.
struct FieldSpec {
  std::string name, dtype;
  std::size_t offset;
};

struct DatasetSpec {
  std::string name;
  std::string dtype;  ///< as in DatasetInfo; "|V40" with `fields`
  std::vector<std::uint64_t> shape;
  std::uint32_t chunk_rows = 1;
  /// One per chunk, not owned. The last one may omit the rows past the end; all others are full.
  std::vector<std::span<const std::byte>> chunks;
  std::vector<FieldSpec> fields = {};
  /// Instead of `chunks`, for callers that compress on other threads: compress_frame() of each full chunk, in order.
  std::vector<std::vector<std::byte>> frames = {};
};

/// Publishes `path` and returns its name, size and hash, computed before the rename. With kKeep, an existing file stays
/// and its record is returned: another process may have written the same file. `json`: one object, also stored as the
/// HDF5 root attribute "vitrine". `level`: zstd level of `chunks`. `required_flags`: table::kFlag..., features that a
/// reader must support. Throws Error when writing fails, std::logic_error for inconsistent specs. Calls of several
/// threads are serialised inside HDF5.
FileRecord write_container(const std::filesystem::path& path, std::vector<DatasetSpec> datasets,
                           const std::string& json, int level, std::uint32_t required_flags = 0,
                           Existing existing = Existing::kKeep);

/// Versions of vitrine and of the libraries that determine a container's bytes: "vitrine", "hdf5", "zstd". Stored in
/// every file of a cache as the attribute `written_by`.
const std::map<std::string, std::string>& written_by();

/// Must be held during every HDF5 call, as HDF5 is not thread-safe. Not recursive.
std::unique_lock<std::mutex> hdf5_lock();

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_CONTAINER_WRITER_H_
