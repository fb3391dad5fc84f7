// All that is needed to make a view again, bit for bit, from the images of its group. Its layout is the one on the
// disk.
#ifndef VITRINE_COMMON_PLAN_RECIPE_H_
#define VITRINE_COMMON_PLAN_RECIPE_H_

#include <cstdint>
#include <type_traits>

namespace vitrine {

enum class Mix : std::uint8_t { kNone = 0, kMixUp = 1, kCutMix = 2 };

/// Crop [top, top + height) × [left, left + width) of the image, resized to the student's or teacher's square, mirrored
/// when `flip`, then mixed with the same of the view at position `partner` of the group: before that view is mixed
/// itself. The label is shared in the same way: own_share() of `label`, the rest of the partner's.
struct Recipe {
  std::uint32_t image = 0;                                ///< position in the index
  std::uint32_t label = 0;                                ///< of that image, or kNoLabel
  std::int32_t top = 0, left = 0, height = 0, width = 0;  ///< pixels of the image; inside it, height and width ≥ 1
  std::uint8_t flip = 0;                                  ///< 0 or 1
  Mix mix = Mix::kNone;
  std::uint16_t partner = 0;  ///< position in the group; 0 without mixing
  /// The own share in 1/65536; 0 without mixing. With CutMix the share that the box leaves, box clipped at the border.
  std::uint16_t lambda = 0;
  /// CutMix: the partner's part, half-open, in pixels of the teacher's square; never empty. All 0 otherwise.
  std::uint16_t box_top = 0, box_left = 0, box_bottom = 0, box_right = 0;
  /// kViewLeftOut or 0. Called "reserved" on the disk. A plan's recipes have 0; only what became of them sets it.
  std::uint16_t flags = 0;
  bool operator==(const Recipe&) const = default;
};
static_assert(sizeof(Recipe) == 40 && std::is_trivially_copyable_v<Recipe> &&
              std::has_unique_object_representations_v<Recipe>);

/// Bits of Recipe::flags. The view's own picture, or that of the view that is mixed in, could not be read when its
/// targets were made: it has no pixels and no label, and its targets are blank.
inline constexpr std::uint16_t kViewLeftOut = 1;
inline bool is_left_out(const Recipe& recipe) {
  return (recipe.flags & kViewLeftOut) != 0;
}

/// The share of the view's own label, in [0, 1]; 1 without mixing.
inline double own_share(const Recipe& recipe) {
  return recipe.mix == Mix::kNone ? 1.0 : recipe.lambda / 65536.0;
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_RECIPE_H_
