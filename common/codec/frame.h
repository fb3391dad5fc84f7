// Compression of a byte array into one Zstandard frame (RFC 8878) that records its content's size and checksum.
#ifndef VITRINE_COMMON_CODEC_FRAME_H_
#define VITRINE_COMMON_CODEC_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

struct ZSTD_DCtx_s;

namespace vitrine {

inline constexpr std::uint32_t kFrameMagic = 0xFD2FB528;  ///< a frame's first four bytes, little-endian

/// Accepted zstd levels: 1 to 19, and −7 to −1, which store poorly compressible data as is: 8-bit values of a nearly
/// normal distribution give up 6 % and decompress several times as fast. 0, zstd's alias of its default level, is
/// rejected.
inline constexpr int kMinLevel = -7, kMaxLevel = 19;
constexpr bool is_level(int level) {
  return level >= kMinLevel && level <= kMaxLevel && level != 0;
}

/// Accepted base-2 logarithms of the window: decoders reject windows above 2^27 bytes by default.
inline constexpr int kMinWindow = 10, kMaxWindow = 27;
/// 0 leaves the window to the level.
constexpr bool is_window(int log) {
  return log == 0 || (log >= kMinWindow && log <= kMaxWindow);
}

/// Settings that determine a frame's bytes, given the data.
struct Compression {
  Compression(int level_ = 1, int window_log_ = 0) : level(level_), window_log(window_log_) {}
  int level;       ///< see is_level()
  int window_log;  ///< log2 of zstd's match window in bytes, see is_window()
  bool operator==(const Compression&) const = default;
};

/// Deterministic for one version of libzstd. `compression` must satisfy is_level() and is_window().
std::vector<std::byte> compress_frame(std::span<const std::byte> bytes, const Compression& compression);

/// Reusable decompression state. Not thread-safe.
class Decompressor {
 public:
  Decompressor();
  ~Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  /// Fills `out` exactly. Throws Error, beginning with `where`, when the frame is damaged or its content has another
  /// size.
  void decompress(std::span<const std::byte> frame, std::span<std::byte> out, std::string_view where);
  /// The same, but returns nullptr or a message with static lifetime. `check`: also verify the content's checksum; not
  /// needed if the frame's own bytes have been verified. Allocates nothing after the first frame.
  const char* try_decompress(std::span<const std::byte> frame, std::span<std::byte> out, bool check = true) noexcept;

 private:
  ZSTD_DCtx_s* context_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_FRAME_H_
