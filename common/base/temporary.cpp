#include "common/base/temporary.h"

#include <stdlib.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "common/base/error.h"

namespace vitrine {

namespace {

std::filesystem::path usual_place() {
  const char* const named = std::getenv("TMPDIR");
  return named == nullptr || *named == '\0' ? "/tmp" : named;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory(const std::filesystem::path& place) {
  const std::filesystem::path above = place.empty() ? usual_place() : place;
  std::string name = (above / ("vitrine-" + std::string(6, 'X'))).string();
  if (mkdtemp(name.data()) == nullptr)
    fail_system(errno, above.string(), "cannot create a directory in it",
                "choose another place, or set TMPDIR to a writable directory");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;  // a destructor must not throw
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace vitrine
