// Reads zip archives without compression, as torch.save and numpy.savez write them (.ZIP File Format
// Specification 6.3.10).
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_ZIP_ARCHIVE_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_ZIP_ARCHIVE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine {

/// The entries of an untrusted archive, with zip64 and without. The archive's bytes must outlive it.
class ZipArchive {
 public:
  /// Reads the central directory. Throws Error, naming `path`: kCorrupt if the archive is cut short or damaged.
  ZipArchive(std::span<const std::byte> bytes, std::string path);

  /// True if `bytes` begin like an archive.
  static bool is_archive(std::span<const std::byte> bytes);

  /// The name of the entry at the beginning of an archive, whose directory is not read; "" if there is none.
  static std::string_view first_name(std::span<const std::byte> bytes);

  /// Sorted.
  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return entries_.contains(name); }
  /// The name of the first entry, by name, that ends with `suffix`; "" if there is none.
  std::string ending_with(const std::string& suffix) const;
  /// The bytes of an entry, whose CRC-32 is checked unless it is 0: torch.save can be told to leave it out. Throws
  /// Error: kCorrupt if they differ or the entry does not exist, kInput if it is compressed or encrypted.
  std::span<const std::byte> read(const std::string& name) const;

 private:
  struct Entry {
    std::uint64_t header, stored, size;
    std::uint32_t crc;
    std::uint16_t method;
    bool encrypted;
  };
  void add_entries(std::span<const std::byte> directory, std::uint64_t count);
  [[noreturn]] void damaged(const std::string& what) const;

  std::span<const std::byte> bytes_;
  std::string path_;
  std::map<std::string, Entry> entries_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_ZIP_ARCHIVE_H_
