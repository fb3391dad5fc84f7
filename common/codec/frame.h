// One piece of data as one Zstandard frame (RFC 8878) that knows its content's size and checksum.
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

/// zstd's levels that are taken: 1 to 19, and −7 to −1, which leave alone what hardly shrinks: 8 bits of nearly normal
/// values keep their 6 % and are read several times as fast. 0 is zstd's word for its default, and no level.
inline constexpr int kMinLevel = -7, kMaxLevel = 19;
constexpr bool is_level(int level) {
  return level >= kMinLevel && level <= kMaxLevel && level != 0;
}

/// The base-2 logarithms of windows that are taken: more than 2^27 bytes, a usual decoder refuses.
inline constexpr int kMinWindow = 10, kMaxWindow = 27;
/// 0 leaves the window to the level.
constexpr bool is_window(int log) {
  return log == 0 || (log >= kMinWindow && log <= kMaxWindow);
}

/// What decides a frame's bytes beside the data.
struct Compression {
  Compression(int level_ = 1, int window_log_ = 0) : level(level_), window_log(window_log_) {}
  int level;       ///< see is_level()
  int window_log;  ///< how far back zstd looks for what it has seen, 2^this bytes, see is_window()
  bool operator==(const Compression&) const = default;
};

/// The same bytes and settings, which must be allowed ones, give the same frame (with one version of libzstd).
std::vector<std::byte> compress_frame(std::span<const std::byte> bytes, const Compression& compression);

/// Reusable state of decompression. Not for several threads at once.
class Decompressor {
 public:
  Decompressor();
  ~Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  /// Fills `out` exactly. Throws Error, beginning with `where`, when the frame is damaged or holds another size.
  void decompress(std::span<const std::byte> frame, std::span<std::byte> out, std::string_view where);
  /// The same; returns what is wrong, in words that stay, or nullptr. `check`: also the content's checksum; whoever has
  /// checked the frame's own bytes may leave it out. Once it has decompressed one frame it allocates nothing.
  const char* try_decompress(std::span<const std::byte> frame, std::span<std::byte> out, bool check = true) noexcept;

 private:
  ZSTD_DCtx_s* context_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_FRAME_H_
