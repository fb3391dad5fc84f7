// The folders that contain a data set's images.
#ifndef VITRINE_COMMON_IMAGE_FOLDERS_H_
#define VITRINE_COMMON_IMAGE_FOLDERS_H_

#include <cstddef>
#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>

namespace vitrine {

/// The values of the key `labels`.
enum class Labels {
  kFolders,  ///< an image's label is its class folder
  kNone      ///< images have no labels, or labels are not used
};

/// Converts from a path: a folder of class folders.
struct ImageFolders {
  std::filesystem::path images;      ///< class folders; without labels any folder, flat or nested
  std::filesystem::path unlabelled;  ///< further, unlabelled images, flat or nested; empty: none
  Labels labels = Labels::kFolders;  ///< kNone: subfolders of `images` are not classes
  double hold_out = 0;               ///< share of `images` that is held out (hold_out.h), in [0, 1)
  bool held_out = false;             ///< these are the held-out images, not the others
  std::size_t least_classes = 2;     ///< class folders that `images` must have; 1 where the classes are known otherwise

  ImageFolders() = default;
  template <class Path>
  requires std::is_convertible_v<Path, std::filesystem::path> ImageFolders(const Path& images_,
                                                                           std::filesystem::path unlabelled_ = {},
                                                                           Labels labels_ = Labels::kFolders)
      : images(images_), unlabelled(std::move(unlabelled_)), labels(labels_) {}

  /// The file of an image, by its id in the index. Throws Error for an unlabelled image if `unlabelled` is empty.
  std::filesystem::path file(const std::string& id) const;
  /// For messages: the path of an id in the index or in a list of left-out files. Never throws.
  std::string path_of(const std::string& id) const;
  /// The images that `hold_out` holds out of these, without the unlabelled ones.
  ImageFolders held() const;
  /// For messages: "IMAGES", "IMAGES and UNLABELLED", "IMAGES (the 10 % held out)".
  std::string describe() const;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_FOLDERS_H_
