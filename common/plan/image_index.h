// The list of a dataset's images, made once by scanning all files and immutable afterwards. It holds everything a plan
// needs, so plans are made without access to the files.
#ifndef VITRINE_COMMON_PLAN_IMAGE_INDEX_H_
#define VITRINE_COMMON_PLAN_IMAGE_INDEX_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/fields.h"

namespace vitrine {

/// Label of an unlabelled image.
inline constexpr std::uint32_t kNoLabel = 0xFFFFFFFF;

struct ImageEntry {
  std::string id;                       ///< path relative to the dataset's root, with '/'; see also kUnlabelledPrefix
  std::uint32_t height = 0, width = 0;  ///< in pixels, after ImageIndex::decoding
  std::uint32_t label = 0;              ///< position in ImageIndex::classes, or kNoLabel
  std::uint64_t file_bytes = 0;
  std::uint64_t hash = 0;  ///< xxh3 of the file
  bool operator==(const ImageEntry&) const = default;
};

/// Unlabelled images beside labelled ones are in a separate folder. Their ids are this prefix followed by the path
/// relative to that folder. No other id starts with it: names that begin with a dot are not indexed.
inline constexpr const char* kUnlabelledPrefix = ".unlabelled/";
inline bool is_unlabelled(const std::string& id) {
  return id.starts_with(kUnlabelledPrefix);
}

/// Options for decoding a file to pixels (common/image/decode.h). Stored in the index and part of its hash, so that
/// every view made from an index has the same pixels.
struct Decoding {
  bool apply_orientation = false;  ///< rotate and mirror by EXIF orientation; else EXIF is ignored
  bool scale_grey16 = false;       ///< scale 16-bit grey to 8 bits, round(value / 257); else clip at 255

  /// The keys exif_orientation and grey16.
  void fields(Fields& f);
  /// "exif_orientation = \"apply\", grey16 = \"clip\"".
  std::string describe() const;
  bool operator==(const Decoding&) const = default;
};

struct ImageIndex {
  std::vector<std::string> classes;  ///< empty if no image has a label
  std::vector<ImageEntry> images;
  Decoding decoding = {};

  /// Identifies the index: SHA-256 in hexadecimal over all of the above, in order. Equal hashes mean the same images
  /// with the same contents, labels, classes, order and decoding.
  std::string hash() const;
  /// Number of images with a label.
  std::size_t labelled() const;
  /// "1,234 images in 10 classes", "1,234 images in 10 classes, 1,000 of them without a label", "1,234 images without
  /// labels".
  std::string describe() const;
  bool operator==(const ImageIndex&) const = default;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_IMAGE_INDEX_H_
