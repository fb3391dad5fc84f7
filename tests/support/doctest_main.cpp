#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "tests/support/skip.h"

namespace {

constexpr int kSkipped = 77;  // SKIP_RETURN_CODE of tools/cmake/rooms.cmake
bool skipped = false;

}  // namespace

void vitrine::testing::skip(const std::string& reason) {
  skipped = true;
  MESSAGE("skipped: " << reason);
}

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  const int result = context.run();
  return result == 0 && skipped ? kSkipped : result;
}
