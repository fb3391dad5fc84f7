#include "common/image/outside_images.h"

#include "common/base/error.h"
#include "common/base/paths.h"

namespace vitrine {

void check_outside_images(const GivenPath& written, const std::vector<GivenPath>& folders) {
  if (written.path.empty()) return;
  for (const GivenPath& folder : folders)
    if (is_within(written.path, folder.path))
      throw Error(ErrorKind::kInput, {.path = written.path.string(),
                                      .what = text(written.key, " is in ", folder.key, " = ", folder.path.string(),
                                                   ", where its directory would count as a class"),
                                      .remedy = text("choose another ", written.key, ", outside the images")});
}

}  // namespace vitrine
