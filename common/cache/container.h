// The container of everything binary in a cache: an HDF5 file whose user block holds a table of its own (FORMAT.md), so
// that reading takes one read for the table and one a chunk, and no HDF5. This is the reading half; container_writer.h
// writes.
#ifndef VITRINE_COMMON_CACHE_CONTAINER_H_
#define VITRINE_COMMON_CACHE_CONTAINER_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/files.h"
#include "common/base/format_version.h"
#include "common/codec/frame.h"

namespace vitrine {

/// The numbers of the table in a container's user block (FORMAT.md), shared by its writer and its reader.
namespace table {

static_assert(std::endian::native == std::endian::little, "the format is little-endian, and so is this code");

inline constexpr std::string_view kMagic{"VITRINE\0", 8};
inline constexpr std::uint16_t kMajor = kFormatMajor, kMinor = kFormatMinor;
/// The file may hold arrays of whole groups and types <i2 and <u2, as encodings after the first four make them.
inline constexpr std::uint32_t kFlagEncodings = 1;
/// Recipes of which some are marked as left out: their targets are blank and must not be learnt from.
inline constexpr std::uint32_t kFlagLeftOut = 2;
/// Flags that this program understands.
inline constexpr std::uint32_t kKnownRequiredFlags = kFlagEncodings | kFlagLeftOut;
inline constexpr std::size_t kHeaderBytes = 64, kDatasetBytes = 136, kChunkBytes = 24, kChecksumBytes = 8;
inline constexpr std::size_t kNameBytes = 32, kDtypeBytes = 16, kMaxRank = 8;
inline constexpr std::uint64_t kMinUserBlock = 512;  ///< HDF5's

// Offsets in the header.
inline constexpr std::size_t kVersionAt = 8, kRequiredAt = 12, kIgnorableAt = 16, kDatasetsAt = 20, kTableBytesAt = 24,
                             kUserBlockAt = 32, kFileBytesAt = 40, kChunksAt = 48, kJsonBytesAt = 56;

template <class Number>
void append(std::string& out, Number value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
template <class Number>
Number at(std::string_view bytes, std::size_t offset) {
  Number value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace table

/// A dataset of rows in chunks of equal size along the first axis; rows of the last chunk past the end are zero bytes.
struct DatasetInfo {
  std::string name;
  std::string dtype;                 ///< numpy's: "<f4", "<f2", "|i1", "|u1", "<i2", "<u2", "<u4", "<u8", "|V40"
  std::vector<std::uint64_t> shape;  ///< 1 to 8 axes, none of them 0
  std::uint32_t chunk_rows = 0;
  std::uint64_t first_chunk = 0, chunk_count = 0;  ///< in the table's list of chunks

  std::uint64_t row_bytes() const;  ///< of one index of the first axis
  std::uint64_t chunk_bytes() const { return row_bytes() * chunk_rows; }
  bool operator==(const DatasetInfo&) const = default;
};
using Datasets = std::vector<DatasetInfo>;

/// Bytes of an item of a dtype as above; nullopt for one that the format does not know.
std::optional<std::uint64_t> item_bytes(std::string_view dtype);

class Container {
 public:
  /// What one thread keeps between reads: a few open files, a buffer, zstd's state. May serve any number of containers.
  struct Scratch {
    std::array<ReadableFile, 4> files;  ///< the one read last comes first
    Buffer stored;                      ///< grows to the largest chunk
    Decompressor decompressor;
  };

  /// Reads and checks the table: magic, version, flags, sizes, checksum, that all chunks lie in the file without
  /// touching each other and that datasets and chunks agree. One open and, for a table of up to 16 KiB, one read.
  /// Throws Error that names the file; nothing is allocated for numbers that the file's size does not bear out. The
  /// file is closed again: open files are a matter of scratches.
  explicit Container(const std::filesystem::path& path);

  std::filesystem::path path() const { return path_; }
  const Datasets& datasets() const { return *datasets_; }
  /// Position in datasets(). Throws Error when there is none of that name.
  std::size_t find(const std::string& name) const;
  /// The attributes: one JSON object.
  const std::string& json() const { return json_; }
  std::uint64_t file_bytes() const { return file_bytes_; }

  /// Where a chunk's stored bytes lie in the file. Throws std::out_of_range for one that is not there.
  struct Place {
    std::uint64_t offset, bytes;
  };
  Place place(std::size_t dataset, std::uint64_t chunk) const;

  /// Every chunk has two checksums: the table's over its stored bytes, zstd's over the decoded ones.
  enum class Check {
    kBoth,
    kStored  ///< the table's alone: no stored byte goes unchecked, a fault of the decoder would
  };
  /// A chunk, decoded, into `out` of exactly chunk_bytes(). Throws Error that names file, dataset and chunk. Any
  /// thread, with a scratch of its own; no lock, and no allocation once the scratch has seen the largest chunk and the
  /// longest path.
  void read_chunk(std::size_t dataset, std::uint64_t chunk, Scratch& scratch, std::span<std::byte> out,
                  Check check = Check::kBoth) const;
  /// All rows of a dataset.
  std::vector<std::byte> read_all(std::size_t dataset, Scratch& scratch) const;

  /// For who keeps thousands of containers: empties json(), and describes the datasets by the equal one of `seen` when
  /// there is one; else adds its own, up to a few. Not while others read.
  void shrink(std::vector<std::shared_ptr<const Datasets>>& seen);

 private:
  struct Chunk {
    std::uint64_t offset, hash;
    std::uint32_t stored_bytes;
  };
  void check_apart() const;
  const ReadableFile& opened(Scratch& scratch) const;

  std::string path_;  // a path of many parts takes ten times the memory
  std::shared_ptr<const Datasets> datasets_;
  std::vector<Chunk> chunks_;
  std::string json_;
  std::uint64_t file_bytes_ = 0, inode_ = 0;
};

inline constexpr const char* kIndexFormat = "vitrine index";
inline constexpr const char* kRecipesFormat = "vitrine recipes";
inline constexpr const char* kShardFormat = "vitrine shard";
inline constexpr const char* kBasisFormat = "vitrine basis";

// What follows throws Errors of kind kInput for a file that is whole and not the one that its place asks for.

/// The attributes, after their "format" was found to be `format`.
nlohmann::ordered_json attributes(const Container& container, const std::string& format);
/// Throws Error unless json[key] == expected.
void expect(const Container& container, const nlohmann::ordered_json& json, const char* key,
            const nlohmann::ordered_json& expected);
/// Throws Error unless the dataset has this type, shape and chunk.
void expect_dataset(const Container& container, const std::string& name, const std::string& dtype,
                    const std::vector<std::uint64_t>& shape, std::uint32_t chunk_rows);
inline constexpr const char* kElsewhere = "the file belongs to another cache or place, copy or make it again";

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_CONTAINER_H_
