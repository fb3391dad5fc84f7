// The container of all binary data in a cache: an HDF5 file with a table in its user block (FORMAT.md). Reading takes
// one read for the table and one per chunk, without HDF5. Written by container_writer.h.
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

/// Constants of the table in the user block (FORMAT.md), shared by writer and reader.
namespace table {

static_assert(std::endian::native == std::endian::little,
              "the format is little-endian; big-endian machines need byte swaps");

inline constexpr std::string_view kMagic{"VITRINE\0", 8};
inline constexpr std::uint16_t kMajor = kFormatMajor, kMinor = kFormatMinor;
/// The file may have whole-group arrays and types <i2 and <u2, which shards of all but the plain encodings (encoding.h)
/// may use, and basis.h5.
inline constexpr std::uint32_t kFlagEncodings = 1;
/// Some recipes are marked as left out: their targets are blank and must not be used for training.
inline constexpr std::uint32_t kFlagLeftOut = 2;
/// Flags that this program supports.
inline constexpr std::uint32_t kKnownRequiredFlags = kFlagEncodings | kFlagLeftOut;
inline constexpr std::size_t kHeaderBytes = 64, kDatasetBytes = 136, kChunkBytes = 24, kChecksumBytes = 8;
inline constexpr std::size_t kNameBytes = 32, kDtypeBytes = 16, kMaxRank = 8;
inline constexpr std::uint64_t kMinUserBlock = 512;  ///< HDF5's minimum

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
  std::string dtype;                 ///< as in NumPy: "<f4", "<f2", "|i1", "|u1", "<i2", "<u2", "<u4", "<u8", "|V40"
  std::vector<std::uint64_t> shape;  ///< 1 to 8 axes, none of them 0
  std::uint32_t chunk_rows = 0;
  std::uint64_t first_chunk = 0, chunk_count = 0;  ///< range in the table's list of chunks

  std::uint64_t row_bytes() const;  ///< per index of the first axis
  std::uint64_t chunk_bytes() const { return row_bytes() * chunk_rows; }
  bool operator==(const DatasetInfo&) const = default;
};
using Datasets = std::vector<DatasetInfo>;

/// Item size of a dtype in bytes; nullopt if the format does not have it.
std::optional<std::uint64_t> item_bytes(std::string_view dtype);

class Container {
 public:
  /// Per-thread state: a few open files, a buffer, zstd's context. Reusable for any number of containers.
  struct Scratch {
    std::array<ReadableFile, 4> files;  ///< most recently used first
    Buffer stored;                      ///< grows to the largest chunk
    Decompressor decompressor;
  };

  /// Reads and checks the table: magic, version, flags, sizes, checksum, that all chunks are inside the file and do not
  /// overlap, and that datasets and chunks are consistent. One open and, for a table of up to 16 KiB, one read. Throws
  /// Error that names the file. Allocations are bounded by the file's size. The file is closed again; Scratch holds
  /// open files.
  explicit Container(const std::filesystem::path& path);

  std::filesystem::path path() const { return path_; }
  const Datasets& datasets() const { return *datasets_; }
  /// Index in datasets(). Throws Error when there is no dataset of this name.
  std::size_t find(const std::string& name) const;
  /// The attributes, one JSON object.
  const std::string& json() const { return json_; }
  std::uint64_t file_bytes() const { return file_bytes_; }

  /// Location of a chunk's stored bytes in the file. place() throws std::out_of_range for a chunk that does not exist.
  struct Place {
    std::uint64_t offset, bytes;
  };
  Place place(std::size_t dataset, std::uint64_t chunk) const;

  /// Every chunk has two checksums: the table's over its stored bytes, zstd's over the decoded ones.
  enum class Check {
    kBoth,
    kStored  ///< the table's only: detects any damage to the file, but not a fault of the decoder
  };
  /// Reads and decodes a chunk into `out`, of exactly chunk_bytes(). Throws Error that names file, dataset and chunk,
  /// kIo where the file was replaced by one with another. Thread-safe with one scratch per thread; takes no lock, and
  /// allocates nothing once the scratch has seen the largest chunk and the longest path.
  void read_chunk(std::size_t dataset, std::uint64_t chunk, Scratch& scratch, std::span<std::byte> out,
                  Check check = Check::kBoth) const;
  /// Whether its path now has a file with another table. Throws Error as the constructor.
  bool was_replaced() const { return Container(path_).table_hash_ != table_hash_; }
  /// All rows of a dataset.
  std::vector<std::byte> read_all(std::size_t dataset, Scratch& scratch) const;

  /// Saves memory for callers with thousands of containers: clears json(), and shares datasets() with an equal entry of
  /// `seen`, or adds it there, up to a few. Not thread-safe.
  void shrink(std::vector<std::shared_ptr<const Datasets>>& seen);

 private:
  struct Chunk {
    std::uint64_t offset, hash;
    std::uint32_t stored_bytes;
  };
  void check_apart() const;
  const ReadableFile& opened(Scratch& scratch) const;

  std::string path_;  // std::filesystem::path takes up to ten times the memory
  std::shared_ptr<const Datasets> datasets_;
  std::vector<Chunk> chunks_;
  std::string json_;
  std::uint64_t file_bytes_ = 0, inode_ = 0;
  std::uint64_t table_hash_ = 0;
};

/// What is wrong with a file that was replaced.
inline constexpr const char* kChangedInUse = "the file changed while it was in use";

inline constexpr const char* kIndexFormat = "vitrine index";
inline constexpr const char* kRecipesFormat = "vitrine recipes";
inline constexpr const char* kShardFormat = "vitrine shard";
inline constexpr const char* kBasisFormat = "vitrine basis";

// The functions below throw Error of kind kInput for an intact file that is not the expected one.

/// The attributes. Throws Error unless their "format" is `format`.
nlohmann::ordered_json attributes(const Container& container, const std::string& format);
/// Throws Error unless json[key] == expected.
void expect(const Container& container, const nlohmann::ordered_json& json, const char* key,
            const nlohmann::ordered_json& expected);
/// Throws Error unless the dataset has this type, shape and chunk size.
void expect_dataset(const Container& container, const std::string& name, const std::string& dtype,
                    const std::vector<std::uint64_t>& shape, std::uint32_t chunk_rows);
inline constexpr const char* kElsewhere = "the file belongs to another cache or place, copy or make it again";

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_CONTAINER_H_
