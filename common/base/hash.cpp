#include "common/base/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // dispatches to the widest vector instructions at run time; xxhash.h alone uses SSE2
#endif

#include <algorithm>
#include <array>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <vector>

#include "common/base/files.h"
#include "common/base/xxh3_stream.h"

namespace vitrine {

std::string hexadecimal(std::uint64_t number) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  return digits;
}

std::uint64_t xxh3(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}
std::uint64_t xxh3(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

struct Xxh3Stream::State {
  XXH3_state_t* xxh3 = XXH3_createState();
  ~State() { XXH3_freeState(xxh3); }
};

Xxh3Stream::Xxh3Stream() : state_(std::make_unique<State>()) {
  if (state_->xxh3 == nullptr || XXH3_64bits_reset(state_->xxh3) != XXH_OK) throw std::bad_alloc();
}
Xxh3Stream::~Xxh3Stream() = default;

void Xxh3Stream::update(std::span<const std::byte> bytes) {
  if (XXH3_64bits_update(state_->xxh3, bytes.data(), bytes.size()) != XXH_OK) throw std::runtime_error("XXH3 failed");
}
std::uint64_t Xxh3Stream::digest() const {
  return XXH3_64bits_digest(state_->xxh3);
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

namespace {
void require(int ok) {
  if (ok != 1) throw std::runtime_error("OpenSSL's SHA-256 failed");
}
}  // namespace

Sha256::Sha256() : state_(std::make_unique<State>()) {
  require(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr));
}
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()));
}
void Sha256::update(std::string_view bytes) {
  update(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  require(EVP_DigestFinal_ex(state_->context, digest.data(), &size));
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (unsigned char byte : digest) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

namespace {
// Calls `take` with successive blocks of at most 1 MiB.
template <class Take>
void read_blocks(const std::filesystem::path& path, const Take& take) {
  constexpr std::uint64_t kBlockBytes = 1 << 20;
  const ReadableFile file(path);
  std::vector<std::byte> block(std::min(file.size(), kBlockBytes));
  for (std::uint64_t offset = 0; offset < file.size(); offset += block.size()) {
    const auto piece = std::span(block).first(std::min<std::uint64_t>(block.size(), file.size() - offset));
    file.read(offset, piece);
    take(std::span<const std::byte>(piece));
  }
}
}  // namespace

std::string sha256_hex_of_file(const std::filesystem::path& path) {
  Sha256 hash;
  read_blocks(path, [&](std::span<const std::byte> block) { hash.update(block); });
  return hash.hex();
}

FileHash xxh3_of_file(const std::filesystem::path& path) {
  Xxh3Stream hash;
  FileHash out{0, 0};
  read_blocks(path, [&](std::span<const std::byte> block) {
    hash.update(block);
    out.bytes += block.size();
  });
  out.hash = hash.digest();
  return out;
}

}  // namespace vitrine
