// Renders recipes: the views that the teacher saw, at any resolution. Integer arithmetic throughout, so at equal
// resolution the student's pixels equal the teacher's byte for byte.
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

/// Scales one edge of a CutMix box from the teacher's pixel grid to another: edge · to / from, halves rounded up.
/// Monotone, so a box stays inside the view; a thin box may become empty on a coarser grid, and the view is then
/// unmixed.
constexpr int scale_edge(int edge, int from, int to) {
  return (2 * edge * to + from) / (2 * from);
}

/// Padding of letterboxed views: ImageNet's mean colour.
inline constexpr std::uint8_t kPadding[3] = {124, 116, 104};

/// Retries for an image that fails; each try reopens the file.
struct PictureTries {
  int tries = 3;
  /// Called before each retry with its number, from 1. The default waits, for network disks that recover.
  std::function<void(int)> pause = &wait_before_try;
  static void wait_before_try(int number);
};

/// Renders views. Immutable after construction and thread-safe.
class ViewMaker {
 public:
  /// `folders`: those that the index was made from. `teacher_size`: side of the pixel grid of the recipes' boxes.
  /// `bad`: receives unreadable images; null: they stop the run.
  ViewMaker(ImageFolders folders, std::shared_ptr<const ImageIndex> index, std::uint32_t teacher_size,
            std::shared_ptr<BadPictures> bad = nullptr, PictureTries tries = {});

  /// The mixed views of one group: [recipes.size(), size, size, 3]. Partners are positions in `recipes`, so the group
  /// must be whole. Each image is decoded once and each view cropped directly to `size`. Views marked as left out are
  /// black; images needed only by them are not read. Throws Error naming the image if it cannot be read or differs from
  /// the indexed file (size, hash).
  std::vector<std::uint8_t> group(std::span<const Recipe> recipes, int size) const;

  /// The same, but if `bad` allows the run to continue, views whose own or partner's image is unreadable are marked in
  /// `recipes`.
  std::vector<std::uint8_t> group_or_mark(std::vector<Recipe>& recipes, int size) const;

  /// One decoded image of the index; throws as group() does.
  Image picture(std::uint32_t image) const;
  /// nullopt for an unreadable image if `bad` allows the run to continue.
  std::optional<Image> picture_or_none(std::uint32_t image) const;

 private:
  Image read_once(std::uint32_t image) const;

  ImageFolders folders_;
  std::shared_ptr<const ImageIndex> index_;
  std::uint32_t teacher_size_;
  std::shared_ptr<BadPictures> bad_;
  PictureTries tries_;
};

/// XXH3 of a view's bytes [size, size, 3]; lets a student detect that its decoder or machine produces different pixels.
std::uint64_t picture_hash(std::span<const std::uint8_t> picture);

/// The position of the view whose hash is stored for a group: the first view that is not left out, starting at group %
/// views and wrapping around; nullopt if all are left out (the stored hash is then 0).
std::optional<std::size_t> hashed_view(std::span<const Recipe> recipes, std::uint32_t group);
/// The hash of that view. `pictures`: all views of the group.
std::uint64_t hash_of_group(std::span<const Recipe> recipes, std::uint32_t group,
                            std::span<const std::uint8_t> pictures);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_VIEWS_H_
