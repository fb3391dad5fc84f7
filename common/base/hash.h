// Two hashes for two purposes. XXH3-64 detects damage (tables, chunks, pictures, image files); it is fast but not
// collision-resistant. SHA-256 identifies contents (weights, plans, bases): equal hashes mean equal contents.
#ifndef VITRINE_COMMON_BASE_HASH_H_
#define VITRINE_COMMON_BASE_HASH_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vitrine {

/// 16 lower-case hexadecimal digits.
std::string hexadecimal(std::uint64_t number);

/// XXH3, 64 bits, seed 0 (https://xxhash.com, specification 0.1.1).
std::uint64_t xxh3(std::span<const std::byte> bytes);
std::uint64_t xxh3(std::string_view bytes);
/// Size and hash of a whole file, read in blocks of 1 MiB. Throws Error if it cannot be read.
struct FileHash {
  std::uint64_t bytes, hash;
};
FileHash xxh3_of_file(const std::filesystem::path& path);

/// Incremental SHA-256 (FIPS 180-4).
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::span<const std::byte> bytes);
  void update(std::string_view bytes);
  /// 64 lower-case hexadecimal digits. Call once, last.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);
/// Hash of a whole file, read in blocks of 1 MiB. Throws Error if it cannot be read.
std::string sha256_hex_of_file(const std::filesystem::path& path);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_HASH_H_
