// Where the images of one data set lie.
#ifndef VITRINE_COMMON_IMAGE_FOLDERS_H_
#define VITRINE_COMMON_IMAGE_FOLDERS_H_

#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>

namespace vitrine {

/// What `labels` of a configuration says.
enum class Labels {
  kFolders,  ///< an image's label is the class folder that it lies in
  kNone      ///< no image has a label, or none is looked at
};

/// A path alone is a folder of class folders.
struct ImageFolders {
  std::filesystem::path images;      ///< class folders; without labels any folder, flat or nested
  std::filesystem::path unlabelled;  ///< further images, which have no labels, flat or nested; empty: none
  Labels labels = Labels::kFolders;  ///< kNone: the folders below `images` are no classes

  ImageFolders() = default;
  template <class Path>
  requires std::is_convertible_v<Path, std::filesystem::path> ImageFolders(const Path& images_,
                                                                           std::filesystem::path unlabelled_ = {},
                                                                           Labels labels_ = Labels::kFolders)
      : images(images_), unlabelled(std::move(unlabelled_)), labels(labels_) {}

  /// The file of an image, by its id in the index. Throws Error when it lies in `unlabelled`, which is not given.
  std::filesystem::path file(const std::string& id) const;
  /// For messages: where an id of the index or of a list of what was left out lies; never throws.
  std::string path_of(const std::string& id) const;
  /// For messages: "IMAGES", or "IMAGES and UNLABELLED".
  std::string describe() const;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_FOLDERS_H_
