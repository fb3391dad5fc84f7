#include "common/image/folders.h"

#include <string_view>

#include "common/base/error.h"
#include "common/plan/image_index.h"

namespace vitrine {

std::filesystem::path ImageFolders::file(const std::string& id) const {
  const std::string_view prefix = kUnlabelledPrefix;
  if (!is_unlabelled(id)) return images / id;
  if (unlabelled.empty())
    fail("the image ", id.substr(prefix.size()), " is in the unlabelled folder, which is not set; ",
         "set unlabelled (or --unlabelled) to the folder used when the index was made");
  return unlabelled / id.substr(prefix.size());
}

std::string ImageFolders::path_of(const std::string& id) const {
  if (!is_unlabelled(id)) return (images / id).string();
  return (unlabelled / id.substr(std::string_view(kUnlabelledPrefix).size())).string();
}

ImageFolders ImageFolders::held() const {
  ImageFolders out = *this;
  out.unlabelled.clear();
  out.held_out = true;
  return out;
}

std::string ImageFolders::describe() const {
  if (held_out) return text(images.string(), " (the ", 100 * hold_out, " % held out)");
  return unlabelled.empty() ? images.string() : images.string() + " and " + unlabelled.string();
}

}  // namespace vitrine
