// Recipes into pictures: what the teacher saw, again, at any resolution. Integer arithmetic throughout, so that the
// student's pixels equal the teacher's byte for byte at equal resolution.
#ifndef VITRINE_COMMON_IMAGE_VIEWS_H_
#define VITRINE_COMMON_IMAGE_VIEWS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

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

/// Makes views. Immutable after construction; calls may come from any thread and run side by side. See transform.h for
/// OpenMP's threads.
class ViewMaker {
 public:
  /// `folders`: those that the index was made from. `teacher_size`: the grid of the recipes' boxes, in pixels.
  ViewMaker(ImageFolders folders, std::shared_ptr<const ImageIndex> index, std::uint32_t teacher_size);

  /// The views of one group, mixed: [recipes.size(), size, size, 3]. Partners are positions in `recipes`, so a group is
  /// given whole. Each source is cropped straight to `size`; each image is decoded once, however often it occurs.
  /// Throws Error naming the image when it cannot be read or is not the file that the index was made from (size, hash).
  std::vector<std::uint8_t> group(std::span<const Recipe> recipes, int size) const;

  /// One image of the index, decoded; the same errors.
  Image picture(std::uint32_t image) const;

 private:
  ImageFolders folders_;
  std::shared_ptr<const ImageIndex> index_;
  std::uint32_t teacher_size_;
};

/// XXH3 of a view's bytes [size, size, 3]: how a student finds that its decoder or machine makes other pixels. The
/// hashed view of group g is position g % group.
std::uint64_t picture_hash(std::span<const std::uint8_t> picture);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_VIEWS_H_
