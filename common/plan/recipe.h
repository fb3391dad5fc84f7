// Everything needed to reproduce a view bit for bit from the images of its group. The memory layout is the on-disk
// layout.
#ifndef VITRINE_COMMON_PLAN_RECIPE_H_
#define VITRINE_COMMON_PLAN_RECIPE_H_

#include <cstdint>
#include <type_traits>

namespace vitrine {

enum class Mix : std::uint8_t { kNone = 0, kMixUp = 1, kCutMix = 2 };

/// Crop [top, top + height) × [left, left + width) of the image, resized to the student's or teacher's input size,
/// mirrored if `flip`, then mixed with the unmixed view at position `partner` of the group. Labels are mixed in the
/// same proportion: own_share() of `label`, the rest of the partner's.
struct Recipe {
  std::uint32_t image = 0;                                ///< position in the index
  std::uint32_t label = 0;                                ///< label of the image, or kNoLabel
  std::int32_t top = 0, left = 0, height = 0, width = 0;  ///< in pixels, inside the image; height and width ≥ 1
  std::uint8_t flip = 0;                                  ///< 0 or 1
  Mix mix = Mix::kNone;
  std::uint16_t partner = 0;  ///< position in the group; 0 without mixing
  /// The view's own share in 1/65536; 0 without mixing. For CutMix, the area outside the box, after clipping the box at
  /// the border.
  std::uint16_t lambda = 0;
  /// CutMix: the box taken from the partner, half-open, in pixels of the teacher's input; never empty. Without mixing:
  /// the place of a letterboxed picture, likewise. All 0 otherwise.
  std::uint16_t box_top = 0, box_left = 0, box_bottom = 0, box_right = 0;
  /// kViewLeftOut or 0; "reserved" on disk. Always 0 in a plan; set only during extraction.
  std::uint16_t flags = 0;
  bool operator==(const Recipe&) const = default;
};
static_assert(sizeof(Recipe) == 40 && std::is_trivially_copyable_v<Recipe> &&
              std::has_unique_object_representations_v<Recipe>);

/// Bits of Recipe::flags. The view's image or its partner's could not be read when its targets were made: the view has
/// no pixels and no label, and its targets are blank.
inline constexpr std::uint16_t kViewLeftOut = 1;
inline bool is_left_out(const Recipe& recipe) {
  return (recipe.flags & kViewLeftOut) != 0;
}

/// Whether the view is a whole picture in a box, surrounded by padding. A point (x, y) of the image, in pixels, is then
/// at box_left + (flip ? width - x : x) · (box_right - box_left) / width, box_top + y · (box_bottom - box_top) / height
/// in the teacher's pixels.
inline bool is_letterboxed(const Recipe& recipe) {
  return recipe.mix == Mix::kNone && recipe.box_bottom > recipe.box_top;
}

/// The weight of the view's own label, in [0, 1]; 1 without mixing.
inline double own_share(const Recipe& recipe) {
  return recipe.mix == Mix::kNone ? 1.0 : recipe.lambda / 65536.0;
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_RECIPE_H_
