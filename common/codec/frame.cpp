#include "common/codec/frame.h"

#define ZSTD_STATIC_LINKING_ONLY  // for ZSTD_d_forceIgnoreChecksum
#include <zstd.h>

#include <memory>
#include <new>
#include <stdexcept>

#include "common/base/error.h"

namespace vitrine {
namespace {

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

void must(std::size_t result) {
  if (ZSTD_isError(result)) throw std::logic_error(text("zstd: ", ZSTD_getErrorName(result)));
}

}  // namespace

std::vector<std::byte> compress_frame(std::span<const std::byte> bytes, const Compression& compression) {
  const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  if (!context) throw std::bad_alloc();
  must(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, compression.level));
  must(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, compression.window_log));
  must(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1));
  std::vector<std::byte> frame(ZSTD_compressBound(bytes.size()));
  const std::size_t size = ZSTD_compress2(context.get(), frame.data(), frame.size(), bytes.data(), bytes.size());
  must(size);
  frame.resize(size);
  return frame;
}

Decompressor::Decompressor() : context_(ZSTD_createDCtx()) {
  if (context_ == nullptr) throw std::bad_alloc();
}

Decompressor::~Decompressor() {
  ZSTD_freeDCtx(context_);
}

const char* Decompressor::try_decompress(std::span<const std::byte> frame, std::span<std::byte> out,
                                         bool check) noexcept {
  // A library without this parameter verifies the checksum.
  (void)ZSTD_DCtx_setParameter(context_, ZSTD_d_forceIgnoreChecksum,
                               check ? ZSTD_d_validateChecksum : ZSTD_d_ignoreChecksum);
  const std::size_t size = ZSTD_decompressDCtx(context_, out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size)) return ZSTD_getErrorName(size);
  return size == out.size() ? nullptr : "its content is too short";
}

void Decompressor::decompress(std::span<const std::byte> frame, std::span<std::byte> out, std::string_view where) {
  if (const char* problem = try_decompress(frame, out))
    throw Error(ErrorKind::kCorrupt, {.path = std::string(where),
                                      .what = text("cannot be decompressed (", problem, ")"),
                                      .remedy = "the file is damaged, copy or make it again"});
}

}  // namespace vitrine
