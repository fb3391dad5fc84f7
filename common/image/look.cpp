#include "common/image/look.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/utf8.h"
#include "common/image/bad_pictures.h"
#include "common/image/decode.h"
#include "common/image/exif.h"
#include "common/image/listing.h"

namespace vitrine {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30;  // 2^28 pixels need less in all common formats

// Whether the end-of-image marker is near the end of the file. If not, the file is decoded to check it.
bool has_end_marker(std::span<const std::byte> bytes) {
  constexpr std::size_t kTail = 1024;  // some cameras and editors append data
  const std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string_view tail = content.substr(content.size() - std::min(content.size(), kTail));
  if (content.starts_with("\xff\xd8")) return tail.find("\xff\xd9") != std::string_view::npos;
  if (content.starts_with("\x89PNG")) return tail.find("IEND") != std::string_view::npos;
  return false;
}

// Only the reason: left_out.tsv has the path in its own column.
std::string reason_of(const Error& error) {
  return error.problem().what;
}

std::string reason_of(std::span<const std::byte> bytes) {
  try {
    read_image_size(bytes, {});
  } catch (const Error& error) {
    return reason_of(error);
  }
  return {};
}

Look left_out(const ImageEntry& entry, LeftOutKind kind, std::string reason) {
  return {LeftOut{entry.id, std::move(reason), kind}};
}

// What the first bytes tell. Throws Error if the file cannot be read.
Look look_at_head_once(const ReadableFile& file, const ImageEntry& entry) {
  std::array<std::byte, 16> head;
  const std::span<std::byte> first = std::span(head).first(std::min<std::uint64_t>(head.size(), file.size()));
  file.read(0, first);
  if (first.empty()) return left_out(entry, LeftOutKind::kDamaged, reason_of(first));
  if (!begins_as_picture(first)) {
    const std::string name = entry.id.substr(entry.id.rfind('/') + 1);
    return left_out(entry, is_sidecar(name) ? LeftOutKind::kSidecar : LeftOutKind::kNotAPicture, reason_of(first));
  }
  if (file.size() > kMaxBytes)
    return left_out(entry, LeftOutKind::kTooLarge,
                    text("has ", file.size(), " bytes, more than the limit of ", kMaxBytes));
  return {};
}

// Throws Error if the file cannot be read.
Look look_once(const ImageFolders& folders, ImageEntry& entry, IndexDepth depth, const Decoding& decoding) {
  const ReadableFile file(folders.file(entry.id));
  if (Look head = look_at_head_once(file, entry); head.left_out) return head;
  std::vector<std::byte> bytes(file.size());
  file.read(0, bytes);
  Look look;
  try {
    ImageSize size = read_image_size(bytes, entry.id, decoding);
    if (depth == IndexDepth::kDecode || !has_end_marker(bytes)) {
      const Image image = decode_image(bytes, entry.id, decoding);
      size = {image.height, image.width};
    }
    entry.height = static_cast<std::uint32_t>(size.height);
    entry.width = static_cast<std::uint32_t>(size.width);
  } catch (const Error& error) {
    if (!is_of_a_picture(error)) throw;
    return left_out(entry, LeftOutKind::kDamaged, reason_of(error));
  }
  entry.file_bytes = bytes.size();
  entry.hash = xxh3(bytes);
  look.rotated = exif_orientation(bytes) != 1;
  look.grey16 = has_grey16(bytes);
  return look;
}

// What `once` returns, called again when reading fails.
template <class Once>
Look look_twice(const ImageEntry& entry, const Once& once) {
  if (!is_utf8(entry.id)) return left_out(entry, LeftOutKind::kBadName, "has a name that is not UTF-8");
  for (bool again = false;; again = true) try {
      return once();
    } catch (const Error& error) {
      if (!is_of_a_picture(error)) throw;
      if (again) return left_out(entry, LeftOutKind::kUnreadable, reason_of(error));
    }
}

}  // namespace

Look look_at(const ImageFolders& folders, ImageEntry& entry, IndexDepth depth, const Decoding& decoding) {
  return look_twice(entry, [&] { return look_once(folders, entry, depth, decoding); });
}

std::optional<LeftOut> look_at_head(const ImageFolders& folders, const ImageEntry& entry) {
  return look_twice(entry, [&] { return look_at_head_once(ReadableFile(folders.file(entry.id)), entry); }).left_out;
}

}  // namespace vitrine
