// The list of a dataset's images: made once, by looking at every file, and never changed afterwards. All that a plan
// needs of a dataset is here, so that plans are made without its files.
#ifndef VITRINE_COMMON_PLAN_IMAGE_INDEX_H_
#define VITRINE_COMMON_PLAN_IMAGE_INDEX_H_

#include <cstdint>
#include <string>
#include <vector>

namespace vitrine {

struct ImageEntry {
  std::string id;                       ///< path below the dataset's root, with '/'
  std::uint32_t height = 0, width = 0;  ///< pixels, as the decoder gives them (EXIF orientation ignored)
  std::uint32_t label = 0;              ///< position in ImageIndex::classes
  std::uint64_t file_bytes = 0;
  std::uint64_t hash = 0;  ///< xxh3 of the file
  bool operator==(const ImageEntry&) const = default;
};

struct ImageIndex {
  std::vector<std::string> classes;
  std::vector<ImageEntry> images;

  /// The index's name: SHA-256 in hexadecimal over all of the above, in order. Equal names mean the same images with
  /// the same contents, labels and classes in the same order.
  std::string hash() const;
  bool operator==(const ImageIndex&) const = default;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_IMAGE_INDEX_H_
