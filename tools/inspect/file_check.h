// One file of a cache on its own: its table, every frame, and HDF5's view of it.
#ifndef VITRINE_TOOLS_INSPECT_FILE_CHECK_H_
#define VITRINE_TOOLS_INSPECT_FILE_CHECK_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/cache/container.h"

namespace vitrine {

/// A part of a file that is wrong. As in Finding.
struct FileFault {
  std::string dataset;
  std::int64_t group = -1;
  std::string what;
  ErrorKind kind = ErrorKind::kCorrupt;
};

/// Reads every chunk of every dataset: both checksums of each, and that it decompresses to its size. One fault a chunk.
/// Any thread.
std::vector<FileFault> check_frames(const Container& file, Container::Scratch& scratch);

/// Holds the file against HDF5: the same datasets with the same types, shapes, chunks and filter, every chunk at the
/// same place with the same size, and the same attribute. The first difference, or nothing. Only for files whose own
/// checks have passed: HDF5's parser is not made for strangers' files. HDF5 does not tell a file that is wrong from one
/// that it failed to read: a difference is sought again in memory, and is of kind kIo when it is not there. Callers
/// wait for each other and for writers (hdf5_lock).
std::optional<FileFault> check_hdf5(const Container& file);

/// Throws Error with the first fault of either. As check_hdf5().
void expect_whole(const Container& file);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_FILE_CHECK_H_
