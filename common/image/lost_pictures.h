// Indexed images that an earlier run listed in left_out.tsv as unreadable.
#ifndef VITRINE_COMMON_IMAGE_LOST_PICTURES_H_
#define VITRINE_COMMON_IMAGE_LOST_PICTURES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "common/image/folders.h"
#include "common/image/left_out.h"
#include "common/plan/image_index.h"
#include "common/plan/recipe.h"

namespace vitrine {

class LostPictures {
 public:
  LostPictures() = default;
  /// The images of `index` that `left_out` has with a kind from kMissing on and that still cannot be read below
  /// `folders`, or are still other files than those of the index. Tries each once.
  LostPictures(const ImageFolders& folders, const std::shared_ptr<const ImageIndex>& index,
               std::span<const LeftOut> left_out);

  bool has(std::uint32_t image) const { return images_.contains(image); }
  /// Whether a view needs one, as its own picture or its partner's. `recipes`: of its whole group.
  bool concern(std::span<const Recipe> recipes, std::size_t view) const;
  /// Marks the views that need one as left out. `recipes`: of a whole group.
  void mark(std::vector<Recipe>& recipes) const;

 private:
  std::set<std::uint32_t> images_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_LOST_PICTURES_H_
