#include "common/image/lost_pictures.h"

#include <algorithm>
#include <string>

#include "common/base/error.h"
#include "common/image/bad_pictures.h"
#include "common/image/views.h"

namespace vitrine {

LostPictures::LostPictures(const ImageFolders& folders, const std::shared_ptr<const ImageIndex>& index,
                           std::span<const LeftOut> left_out) {
  std::set<std::string> listed;
  for (const LeftOut& entry : left_out)
    if (entry.kind >= LeftOutKind::kMissing) listed.insert(entry.id);
  if (listed.empty()) return;
  const ViewMaker maker(folders, index, 1, nullptr, {.tries = 1});
  for (std::uint32_t image = 0; image < index->images.size(); ++image) try {
      if (listed.contains(index->images[image].id)) maker.picture(image);
    } catch (const Error& error) {
      if (!is_of_a_picture(error)) throw;
      images_.insert(image);
    }
}

bool LostPictures::concern(std::span<const Recipe> recipes, std::size_t view) const {
  const Recipe& recipe = recipes[view];
  return has(recipe.image) || (recipe.mix != Mix::kNone && has(recipes[recipe.partner].image));
}

void LostPictures::mark(std::vector<Recipe>& recipes) const {
  for (std::size_t view = 0; view < recipes.size(); ++view)
    if (concern(recipes, view)) recipes[view].flags |= kViewLeftOut;
}

}  // namespace vitrine
