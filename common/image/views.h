// Recipes into pictures: what the teacher saw, again, at any resolution. Integer arithmetic throughout, so that the
// student's pixels equal the teacher's byte for byte at equal resolution.
#ifndef VITRINE_COMMON_IMAGE_VIEWS_H_
#define VITRINE_COMMON_IMAGE_VIEWS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/image/bad_pictures.h"
#include "common/image/folders.h"
#include "common/image/image.h"
#include "common/plan/image_index.h"
#include "common/plan/recipe.h"

namespace vitrine {

/// MixUp of two bytes: (own·λ + other·(65536 − λ) + 32768) >> 16 with λ in 1/65536.
constexpr std::uint8_t mix_bytes(std::uint8_t own, std::uint8_t other, std::uint32_t lambda) {
  return static_cast<std::uint8_t>((own * lambda + other * (65536u - lambda) + 32768u) >> 16);
}

/// One edge of a CutMix box, from the teacher's pixel grid to another: edge · to / from, halves rounded up. Monotone,
/// so a box stays inside; a thin box may become empty on a coarser grid, and the picture is then its own alone.
constexpr int scale_edge(int edge, int from, int to) {
  return (2 * edge * to + from) / (2 * from);
}

/// How often a picture that fails is read again, each time from a file opened anew.
struct PictureTries {
  int tries = 3;
  /// Called before each further try, with its number from 1; waits a little, as a network disk may want.
  std::function<void(int)> pause = &wait_before_try;
  static void wait_before_try(int number);
};

/// Makes views. Immutable after construction; calls may come from any thread and run side by side.
class ViewMaker {
 public:
  /// `folders`: those that the index was made from. `teacher_size`: the grid of the recipes' boxes, in pixels. `bad`:
  /// what becomes of pictures that cannot be had; null: they stop the run.
  ViewMaker(ImageFolders folders, std::shared_ptr<const ImageIndex> index, std::uint32_t teacher_size,
            std::shared_ptr<BadPictures> bad = nullptr, PictureTries tries = {});

  /// The views of one group, mixed: [recipes.size(), size, size, 3]. Partners are positions in `recipes`, so a group is
  /// given whole. Each source is cropped straight to `size`; each image is decoded once, however often it occurs. Views
  /// that are marked as left out are black, and no image is read for them alone. Throws Error naming the image when it
  /// cannot be read or is not the file that the index was made from (size, hash).
  std::vector<std::uint8_t> group(std::span<const Recipe> recipes, int size) const;

  /// The same where `bad` lets a run go on: views that need a picture that cannot be had, as their own or as the one
  /// that is mixed in, are marked in `recipes`.
  std::vector<std::uint8_t> group_or_mark(std::vector<Recipe>& recipes, int size) const;

  /// One image of the index, decoded; the same errors.
  Image picture(std::uint32_t image) const;
  /// None for a picture that cannot be had, where `bad` lets a run go on.
  std::optional<Image> picture_or_none(std::uint32_t image) const;

 private:
  Image read_once(std::uint32_t image) const;

  ImageFolders folders_;
  std::shared_ptr<const ImageIndex> index_;
  std::uint32_t teacher_size_;
  std::shared_ptr<BadPictures> bad_;
  PictureTries tries_;
};

/// XXH3 of a view's bytes [size, size, 3]: how a student finds that its decoder or machine makes other pixels.
std::uint64_t picture_hash(std::span<const std::uint8_t> picture);

/// The position of the view whose hash is kept for a group: group % views, or where that view is left out the next one
/// that is not, from the first one on again after the last; none when all are left out, and the hash is then 0.
std::optional<std::size_t> hashed_view(std::span<const Recipe> recipes, std::uint32_t group);
/// That view's hash. `pictures`: of all views.
std::uint64_t hash_of_group(std::span<const Recipe> recipes, std::uint32_t group,
                            std::span<const std::uint8_t> pictures);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_VIEWS_H_
