// Incremental XXH3, for data that arrives in pieces (hash.h hashes whole buffers and files).
#ifndef VITRINE_COMMON_BASE_XXH3_STREAM_H_
#define VITRINE_COMMON_BASE_XXH3_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace vitrine {

/// XXH3, 64 bits, seed 0: the pieces in order give the hash of the whole. Not thread-safe.
class Xxh3Stream {
 public:
  Xxh3Stream();
  ~Xxh3Stream();
  Xxh3Stream(const Xxh3Stream&) = delete;
  Xxh3Stream& operator=(const Xxh3Stream&) = delete;
  void update(std::span<const std::byte> bytes);
  /// Of all bytes so far.
  std::uint64_t digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_XXH3_STREAM_H_
