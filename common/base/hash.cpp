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
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  if (!state || XXH3_64bits_reset(state.get()) != XXH_OK) throw std::bad_alloc();
  FileHash out{0, 0};
  read_blocks(path, [&](std::span<const std::byte> block) {
    if (XXH3_64bits_update(state.get(), block.data(), block.size()) != XXH_OK) throw std::runtime_error("XXH3 failed");
    out.bytes += block.size();
  });
  out.hash = XXH3_64bits_digest(state.get());
  return out;
}

}  // namespace vitrine
