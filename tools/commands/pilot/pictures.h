// Which pictures of the folder a pilot takes, and the links to them.
#ifndef VITRINE_TOOLS_COMMANDS_PILOT_PICTURES_H_
#define VITRINE_TOOLS_COMMANDS_PILOT_PICTURES_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "common/image/folders.h"
#include "common/plan/image_index.h"

namespace vitrine {

/// How many pictures of a class teach, and how many score.
struct PictureShares {
  std::uint64_t teaching = 0, held_out = 0;
};

/// For classes with `files` pictures each: `teaching` and `held_out` pictures in all, or as many as there are, as
/// evenly over the classes as their sizes allow. Where there are too few, both shrink alike; no class with two pictures
/// or more gives all to one kind. Earlier classes get what is left over.
std::vector<PictureShares> shares_of(std::span<const std::uint64_t> files, std::uint64_t teaching,
                                     std::uint64_t held_out);

/// The pictures of a folder in the order in which they are drawn.
class PictureDraw {
 public:
  /// Lists the folder, and orders classes and the files of each by the hash of `seed` and name: the order of files does
  /// not depend on other files. Throws Error as list_image_folder() does.
  PictureDraw(const ImageFolders& folders, std::uint64_t seed);

  std::uint64_t listed() const { return index_.images.size(); }
  std::size_t classes() const { return index_.classes.size(); }
  /// Of all classes together.
  PictureShares total(std::uint64_t teaching, std::uint64_t held_out) const;
  /// Links the first files of each class that are images into held_out/CLASS, the next ones into train/CLASS, with
  /// their ids as names. Every class has its two folders, if empty. Returns how many there are.
  PictureShares link(const std::filesystem::path& train, const std::filesystem::path& held_out, std::uint64_t teaching,
                     std::uint64_t scoring, const Decoding& decoding, const StopFlag& stop) const;

 private:
  std::vector<PictureShares> shares(std::uint64_t teaching, std::uint64_t held_out) const;

  ImageFolders folders_;
  ImageIndex index_;
  std::vector<std::uint32_t> order_;                // of the classes
  std::vector<std::vector<std::uint32_t>> images_;  // in that order: each class's images in the order of the draw
};

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_PILOT_PICTURES_H_
