// Writes a container. The bytes are a function of the arguments and of the versions of libzstd and HDF5.
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

/// A named part of a compound item, for h5py's eyes; our reader sees bytes.
struct FieldSpec {
  std::string name, dtype;
  std::size_t offset;
};

struct DatasetSpec {
  std::string name;
  std::string dtype;  ///< as in DatasetInfo; "|V40" with `fields`
  std::vector<std::uint64_t> shape;
  std::uint32_t chunk_rows = 1;
  /// One a chunk, not owned. The last one may be short of rows past the end; all others are whole.
  std::vector<std::span<const std::byte>> chunks;
  std::vector<FieldSpec> fields = {};
  /// In place of `chunks`, for who compresses on other threads: compress_frame() of each whole chunk, in order.
  std::vector<std::vector<std::byte>> frames = {};
};

/// Publishes `path`, and returns its name, size and hash, taken before it got its name. With kKeep a file that has
/// the name by then stays, and is what is returned: another process may have made the same. `json`: one object, also
/// stored as the HDF5 root attribute "vitrine". `level`: zstd's, of `chunks`. `required_flags`: table.h's, features
/// that a reader must know. Throws Error on a failure to write, std::logic_error for specs that do not fit together.
/// Threads wait for each other inside HDF5.
FileRecord write_container(const std::filesystem::path& path, std::vector<DatasetSpec> datasets,
                           const std::string& json, int level, std::uint32_t required_flags = 0,
                           Existing existing = Existing::kKeep);

/// Versions of vitrine and of the libraries that a container's bytes depend on: "vitrine", "hdf5", "zstd". Every file
/// of a cache has them as its attribute `written_by`.
const std::map<std::string, std::string>& written_by();

/// Held around every call of HDF5, which is not made for threads. Not recursive.
std::unique_lock<std::mutex> hdf5_lock();

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_CONTAINER_WRITER_H_
