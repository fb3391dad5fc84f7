#include "common/base/temporary.h"

#include <stdlib.h>

#include <string>
#include <system_error>

#include "common/base/error.h"

namespace vitrine {

TemporaryDirectory::TemporaryDirectory(const std::filesystem::path& place) {
  std::string name = (place / ("vitrine-" + std::string(6, 'X'))).string();
  if (mkdtemp(name.data()) == nullptr)
    fail(place.string(),
         ": no directory can be made in it; name another place, or set TMPDIR to one that can be written");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;  // nothing can be done about it here
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace vitrine
