// What a program writes must not be among the images that it reads: a later scan would take it for images, and its
// directory for a class.
#ifndef VITRINE_COMMON_IMAGE_OUTSIDE_IMAGES_H_
#define VITRINE_COMMON_IMAGE_OUTSIDE_IMAGES_H_

#include <filesystem>
#include <string>
#include <vector>

namespace vitrine {

/// A path as a configuration or a command line gives it.
struct GivenPath {
  std::string key;  ///< "images", "--out"
  std::filesystem::path path;
};

/// Throws Error, kInput, if `written`, which need not exist yet, is one of the folders of images or is in one. Symbolic
/// links are followed. Empty paths are not given.
void check_outside_images(const GivenPath& written, const std::vector<GivenPath>& folders);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_OUTSIDE_IMAGES_H_
