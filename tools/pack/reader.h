// Reads a pack from front to back, from a file or a pipe. The tar is compared with the one that its manifest
// determines: any difference is an error, whatever it may mean to another program.
#ifndef VITRINE_TOOLS_PACK_READER_H_
#define VITRINE_TOOLS_PACK_READER_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "common/base/stop.h"
#include "tools/pack/manifest.h"
#include "tools/pack/streams.h"

namespace vitrine {

/// Every call throws Error that names the file and the byte: kCorrupt for a file that is truncated or differs from what
/// its manifest says; kInput for one that is not a pack. Not thread-safe.
class PackReader {
 public:
  /// Reads pack.json, and compares the size of a regular file with it. `in` must outlive the reader.
  explicit PackReader(InputStream& in);

  const PackManifest& manifest() const { return *manifest_; }
  /// Reads the next file and calls `take` with its contents, piece by piece. Throws when their hash is wrong, after the
  /// last piece; Stopped once `stop` is set.
  void read(const std::function<void(std::span<const std::byte>)>& take, const StopFlag& stop);
  /// Passes over the next file; reads its header, and of a pipe also its contents.
  void skip(const StopFlag& stop);
  /// After the last file: expects the end of the archive, and nothing behind it.
  void finish();

 private:
  std::string bytes(std::size_t count, const std::string& of);
  void expect_header();

  InputStream& in_;
  std::optional<PackManifest> manifest_;
  std::size_t next_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_TOOLS_PACK_READER_H_
