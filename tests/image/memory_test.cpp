// A decoder that runs out of memory blames no picture. This program has its own allocator, which fails on
// request: each allocation of a decoding in turn, alone and with all that follow it.
#include <webp/encode.h>

#include <cerrno>
#include <cstdlib>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/image/bad_pictures.h"
#include "common/image/decode.h"
#include "common/image/write.h"
#include "tests/support/message.h"
#include "tests/support/skip.h"
#include "tests/support/testing.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define VITRINE_OTHER_ALLOCATOR
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define VITRINE_OTHER_ALLOCATOR
#endif

using namespace vitrine;
using vitrine::testing::has;

#ifdef VITRINE_OTHER_ALLOCATOR

TEST_CASE("a decoder that runs out of memory blames no picture") {
  testing::skip("the allocator of this build cannot be replaced");
}

#else

namespace {

// Of this thread: allocations until one fails, and how many fail from there on.
thread_local long until_failure = -1, failures = 0;

bool fails() {
  if (until_failure < 0) return false;
  if (until_failure > 0) {
    --until_failure;
    return false;
  }
  if (failures <= 0) return false;
  --failures;
  errno = ENOMEM;
  return true;
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);

void* malloc(std::size_t bytes) noexcept {
  return fails() ? nullptr : __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) noexcept {
  return fails() ? nullptr : __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) noexcept {
  return fails() ? nullptr : __libc_realloc(old, bytes);
}
}

namespace {

Image noise() {
  Image image(40, 56);
  std::uint32_t state = 1;
  for (std::uint8_t& value : image.rgb) value = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return image;
}

// Lossy: libwebp 1.2.4 frees a pointer that it never set when the tables of a lossless picture find no memory.
std::vector<std::byte> encode_webp(const Image& image) {
  std::uint8_t* bytes = nullptr;
  const std::size_t size = WebPEncodeRGB(image.rgb.data(), image.width, image.height, image.width * 3, 70, &bytes);
  const std::unique_ptr<std::uint8_t, void (*)(void*)> owner(bytes, WebPFree);
  const auto* begin = reinterpret_cast<const std::byte*>(bytes);
  return {begin, begin + size};
}

enum class Outcome { kDecoded, kDecoderTold, kBadAlloc };

Outcome decode_with_failure(std::span<const std::byte> file, long at, long count) {
  until_failure = at, failures = count;
  const auto restore = [] { until_failure = -1; };
  try {
    const Image image = decode_image(file, "cats/1.jpg");
    restore();
    CHECK((image.rgb == decode_image(file, "cats/1.jpg").rgb));
    return Outcome::kDecoded;
  } catch (const Error& error) {
    restore();
    CHECK(error.kind() == ErrorKind::kMemory);
    CHECK_FALSE(is_of_a_picture(error));
    CHECK(has(std::string(error.what()), "cats/1.jpg"));
    return Outcome::kDecoderTold;
  } catch (const std::bad_alloc&) {
    restore();
    return Outcome::kBadAlloc;
  }
}

}  // namespace

TEST_CASE("whichever allocation fails, a sound picture is decoded or the memory is blamed, never the picture") {
  const std::pair<std::string, std::vector<std::byte>> files[] = {
      {"JPEG", encode_jpeg(noise(), 90)}, {"PNG", encode_png(noise())}, {"WebP", encode_webp(noise())}};
  for (const auto& [format, file] : files)
    for (const long count : {1L, std::numeric_limits<long>::max()}) {
      CAPTURE(format);
      CAPTURE(count);
      int told = 0;
      for (long at = 0;; ++at) {
        CAPTURE(at);
        const Outcome outcome = decode_with_failure(file, at, count);
        told += outcome == Outcome::kDecoderTold;
        // The last one: no allocation was left to fail.
        if (outcome == Outcome::kDecoded && failures == count) break;
      }
      // With all failing, the sentence itself cannot be made.
      if (count == 1) CHECK(told > 0);
    }
}

#endif
