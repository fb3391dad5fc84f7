#include "common/plan/image_index.h"

#include <algorithm>
#include <string_view>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/progress.h"

namespace vitrine {
namespace {

// Integers as 8 bytes, little-endian; strings prefixed with their length, so that different indexes serialise
// differently.
void put(std::string& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}
void put(std::string& out, std::string_view bytes) {
  put(out, bytes.size());
  out += bytes;
}

}  // namespace

void Decoding::fields(Fields& f) {
  f.choice<bool>("exif_orientation", apply_orientation, {{"ignore", false}, {"apply", true}},
                 "EXIF orientation of images: ignore, as timm and torchvision do, or apply");
  f.choice<bool>("grey16", scale_grey16, {{"clip", false}, {"scale", true}},
                 "16-bit grey PNG files: clip at 255, as Pillow does, or scale to 8 bits");
}

std::string Decoding::describe() const {
  return text("exif_orientation = \"", apply_orientation ? "apply" : "ignore", "\", grey16 = \"",
              scale_grey16 ? "scale" : "clip", '"');
}

std::size_t ImageIndex::labelled() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(images, [](const ImageEntry& image) { return image.label != kNoLabel; }));
}

std::string ImageIndex::describe() const {
  const std::string count = human_count(images.size()) + " images ";
  if (classes.empty()) return count + "without labels";
  const std::size_t without = images.size() - labelled();
  return text(count, "in ", human_count(classes.size()), " classes",
              without > 0 ? text(", ", human_count(without), " of them without a label") : "");
}

std::string ImageIndex::hash() const {
  Sha256 sha;
  std::string piece = "vitrine index 1\n";
  put(piece, classes.size());
  for (const std::string& name : classes) put(piece, name);
  put(piece, images.size());
  for (const ImageEntry& image : images) {
    put(piece, image.id);
    put(piece, image.height);
    put(piece, image.width);
    put(piece, image.label);
    put(piece, image.file_bytes);
    put(piece, image.hash);
    if (piece.size() >= 1 << 16) {
      sha.update(piece);
      piece.clear();
    }
  }
  if (decoding.apply_orientation) put(piece, "exif_orientation apply");
  if (decoding.scale_grey16) put(piece, "grey16 scale");
  sha.update(piece);
  return sha.hex();
}

}  // namespace vitrine
