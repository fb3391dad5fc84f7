// Checks one file of a cache by itself: its table, every frame, and its contents as seen by HDF5.
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

/// A damaged part of a file. Fields as in Finding.
struct FileFault {
  std::string dataset;
  std::int64_t group = -1;
  std::string what;
  ErrorKind kind = ErrorKind::kCorrupt;
};

/// Reads every chunk of every dataset and checks both checksums and the decompressed size. At most one fault per chunk.
/// Thread-safe.
std::vector<FileFault> check_frames(const Container& file, Container::Scratch& scratch);

/// Compares the table with HDF5: datasets, types, shapes, chunks, filter, place and size of every chunk, and the
/// attribute. Returns the first difference, or nullopt. Only for files that passed their own checks, as HDF5's parser
/// is not safe for untrusted files. HDF5 does not distinguish damage from failed reads, so a difference is checked
/// again on a copy in memory, and has kind kIo if it is not found there, or if the file was replaced. Serialised with
/// other callers and writers (hdf5_lock).
std::optional<FileFault> check_hdf5(const Container& file);

/// Runs both checks and throws Error with the first fault. Preconditions as for check_hdf5().
void expect_whole(const Container& file);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_FILE_CHECK_H_
