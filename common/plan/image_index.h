// The list of a dataset's images: made once, by looking at every file, and never changed afterwards. All that a plan
// needs of a dataset is here, so that plans are made without its files.
#ifndef VITRINE_COMMON_PLAN_IMAGE_INDEX_H_
#define VITRINE_COMMON_PLAN_IMAGE_INDEX_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/fields.h"

namespace vitrine {

/// The label of an image that has none.
inline constexpr std::uint32_t kNoLabel = 0xFFFFFFFF;

struct ImageEntry {
  std::string id;                       ///< path below the dataset's root, with '/'; see also kUnlabelledPrefix
  std::uint32_t height = 0, width = 0;  ///< pixels, as ImageIndex::decoding gives them
  std::uint32_t label = 0;              ///< position in ImageIndex::classes, or kNoLabel
  std::uint64_t file_bytes = 0;
  std::uint64_t hash = 0;  ///< xxh3 of the file
  bool operator==(const ImageEntry&) const = default;
};

/// Images without labels that stand beside labelled ones lie in a folder of their own. Their ids begin with this, the
/// path below that folder follows. No other id does: names that begin with a dot are passed over.
inline constexpr const char* kUnlabelledPrefix = ".unlabelled/";
inline bool is_unlabelled(const std::string& id) {
  return id.starts_with(kUnlabelledPrefix);
}

/// What is chosen about the way from a file to pixels (common/image/decode.h). Recorded in the index, of whose name it
/// is a part, so that whoever makes a view of an index makes the same pixels.
struct Decoding {
  bool apply_orientation = false;  ///< turn pictures upright as their EXIF data say; else EXIF is ignored
  bool scale_grey16 = false;       ///< 16-bit grey is scaled to 8 bits, round(value / 257); else clipped at 255

  /// The keys exif_orientation and grey16.
  void fields(Fields& f);
  /// "exif_orientation = \"apply\", grey16 = \"clip\"".
  std::string describe() const;
  bool operator==(const Decoding&) const = default;
};

struct ImageIndex {
  std::vector<std::string> classes;  ///< none when no image has a label
  std::vector<ImageEntry> images;
  Decoding decoding = {};

  /// The index's name: SHA-256 in hexadecimal over all of the above, in order. Equal names mean the same images with
  /// the same contents, labels and classes in the same order, decoded alike.
  std::string hash() const;
  /// Images that have a label.
  std::size_t labelled() const;
  /// "1,234 images in 10 classes", "1,234 images in 10 classes, 1,000 of them without a label", "1,234 images without
  /// labels".
  std::string describe() const;
  bool operator==(const ImageIndex&) const = default;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_IMAGE_INDEX_H_
