// Small shards in memory, which the tests of this folder damage, and the outcome of reading them completely.
#ifndef VITRINE_TESTS_FAULTS_SHARDS_H_
#define VITRINE_TESTS_FAULTS_SHARDS_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/cache/container.h"
#include "common/cache/container_writer.h"
#include "common/codec/frame.h"
#include "tests/support/files.h"

namespace vitrine::testing {

/// An in-memory file whose bytes can be replaced.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("vitrine-test", MFD_CLOEXEC)) {
    if (descriptor_ < 0) throw std::runtime_error("cannot make a file in memory");
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }
  void hold(std::string_view bytes) {
    if (ftruncate(descriptor_, static_cast<off_t>(bytes.size())) != 0 ||
        pwrite(descriptor_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
      throw std::runtime_error("cannot fill a file in memory");
  }

 private:
  int descriptor_;
};

/// A directory in which the file of a name (in folders of it, if the name has some) has the bytes of one in memory.
class OneFile {
 public:
  explicit OneFile(const std::filesystem::path& name) {
    std::filesystem::create_directories((directory_ / name).parent_path());
    std::filesystem::create_symlink(file_.path(), directory_ / name);
  }
  const std::filesystem::path& hold(const std::string& bytes) {
    file_.hold(bytes);
    return directory_.path();
  }

 private:
  TemporaryDirectory directory_;
  MemoryFile file_;
};

/// What a file gave: a hash over all datasets and the JSON text, or the sentence of its Error.
struct Outcome {
  std::string error;
  ErrorKind kind = ErrorKind::kInternal;  ///< of the error, where there is one
  std::uint64_t hash = 0;
  double sum =
      0;  ///< of the magnitudes of a transform track's floats, whose last bits are the compiler's choice; else 0
};

/// Opens the file and reads every chunk of every dataset that decodes to at most `most` bytes.
inline Outcome read_everything(const std::filesystem::path& path, std::uint64_t most = ~0ull) {
  Outcome outcome;
  try {
    const Container file(path);
    Container::Scratch scratch;
    std::string all = file.json();
    for (std::size_t d = 0; d < file.datasets().size(); ++d) {
      const DatasetInfo& info = file.datasets()[d];
      if (info.chunk_bytes() > most) continue;
      std::vector<std::byte> chunk(info.chunk_bytes());
      for (std::uint64_t c = 0; c < info.chunk_count; ++c) {
        file.read_chunk(d, c, scratch, chunk);
        all.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
      }
    }
    outcome.hash = xxh3(all);
  } catch (const Error& error) {
    outcome.error = error.what();
    outcome.kind = error.kind();
  }
  return outcome;
}

/// The bytes of a shard of `groups` groups of 4 views: int8 [4, 6], its scales, and a payload of 40 bytes per group.
inline std::string shard_bytes(std::uint32_t groups, std::uint32_t width = 6) {
  constexpr std::uint32_t kViews = 4;
  const TemporaryDirectory directory;
  std::vector<std::byte> q(std::size_t{groups} * kViews * width), scale(std::size_t{groups} * kViews * 4),
      payload(std::size_t{groups} * 40);
  std::uint32_t state = 1;
  for (auto* bytes : {&q, &scale, &payload})
    for (std::byte& b : *bytes) b = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 26);
  DatasetSpec a{"q", "|i1", {std::uint64_t{groups} * kViews, width}, kViews, {}},
      b{"scale", "<f4", {std::uint64_t{groups} * kViews}, kViews, {}}, c{"payload", "|u1", {groups, 40}, 1, {}};
  for (std::size_t g = 0; g < groups; ++g) {
    a.chunks.push_back(std::span<const std::byte>(q).subspan(g * kViews * width, kViews * width));
    b.chunks.push_back(std::span<const std::byte>(scale).subspan(g * kViews * 4, kViews * 4));
    c.chunks.push_back(std::span<const std::byte>(payload).subspan(g * 40, 40));
  }
  write_container(directory / "a.h5", {a, b, c}, R"({"format": "vitrine shard"})", 1);
  return read_whole(directory / "a.h5");
}

/// Recomputes the table's checksum, and with `chunks` those of the chunks inside the file, as far as the table's sizes
/// allow: leaves damage that only the reader's own checks can find.
inline void forge_checksums(std::string& bytes, bool chunks) {
  using namespace table;
  if (bytes.size() < kHeaderBytes) return;
  const auto table_bytes = at<std::uint64_t>(bytes, kTableBytesAt);
  if (table_bytes < kHeaderBytes + kChecksumBytes || table_bytes > bytes.size()) return;
  const std::uint64_t first = kHeaderBytes + std::uint64_t{at<std::uint32_t>(bytes, kDatasetsAt)} * kDatasetBytes;
  for (std::uint64_t c = 0; chunks && c < at<std::uint64_t>(bytes, kChunksAt); ++c) {
    const std::uint64_t entry = first + c * kChunkBytes;
    if (entry + kChunkBytes > table_bytes) break;
    const auto offset = at<std::uint64_t>(bytes, entry);
    const auto stored = at<std::uint32_t>(bytes, entry + 8);
    if (offset > bytes.size() || stored > bytes.size() - offset) continue;
    const std::uint64_t hash = xxh3(std::string_view(bytes).substr(offset, stored));
    std::memcpy(bytes.data() + entry + 16, &hash, sizeof hash);
  }
  const std::uint64_t hash = xxh3(std::string_view(bytes).substr(0, table_bytes - kChecksumBytes));
  std::memcpy(bytes.data() + table_bytes - kChecksumBytes, &hash, sizeof hash);
}

/// The container with other attributes and valid sizes and checksum; unchanged if its user block is too small.
inline std::string with_attributes(std::string bytes, std::string_view json) {
  using namespace table;
  const auto put = [&bytes](std::size_t offset, auto value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
  };
  const auto user_block = at<std::uint64_t>(bytes, kUserBlockAt);
  const std::uint64_t start =
      at<std::uint64_t>(bytes, kTableBytesAt) - kChecksumBytes - at<std::uint32_t>(bytes, kJsonBytesAt);
  if (start + json.size() + kChecksumBytes > user_block) return bytes;
  std::memset(bytes.data() + start, 0, user_block - start);
  std::memcpy(bytes.data() + start, json.data(), json.size());
  put(kJsonBytesAt, static_cast<std::uint32_t>(json.size()));
  put(kTableBytesAt, std::uint64_t{start + json.size() + kChecksumBytes});
  forge_checksums(bytes, false);
  return bytes;
}

/// The container with other content of the same size in a chunk, stored as a valid frame at the file's end.
inline std::string with_chunk(std::string bytes, std::size_t dataset, std::uint64_t chunk,
                              std::span<const std::byte> content) {
  using namespace table;
  const auto put = [&bytes](std::size_t offset, auto value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
  };
  const std::vector<std::byte> frame = compress_frame(content, 1);
  const auto first = at<std::uint64_t>(bytes, kHeaderBytes + dataset * kDatasetBytes + 120);
  const std::size_t entry =
      kHeaderBytes + at<std::uint32_t>(bytes, kDatasetsAt) * kDatasetBytes + (first + chunk) * kChunkBytes;
  put(entry, std::uint64_t{bytes.size()});
  put(entry + 8, static_cast<std::uint32_t>(frame.size()));
  bytes.append(reinterpret_cast<const char*>(frame.data()), frame.size());
  put(kFileBytesAt, std::uint64_t{bytes.size()});
  forge_checksums(bytes, true);
  return bytes;
}

/// The first chunk of a dataset.
inline std::vector<std::byte> first_chunk(const std::filesystem::path& path, const std::string& dataset) {
  const Container file(path);
  Container::Scratch scratch;
  const std::size_t number = file.find(dataset);
  std::vector<std::byte> content(file.datasets()[number].chunk_bytes());
  file.read_chunk(number, 0, scratch, content);
  return content;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_FAULTS_SHARDS_H_
