#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/support/skip.h"

namespace {

constexpr int kSkipped = 77;  // SKIP_RETURN_CODE of tools/cmake/rooms.cmake
bool skipped = false;

/// Whether the tests should run on a GPU but the machine has no driver's device (NVIDIA's, or through WSL).
bool lacks_gpu() {
  const char* device = std::getenv("VITRINE_TEST_DEVICE");
  return device != nullptr && std::string_view(device).starts_with("cuda") && access("/dev/nvidiactl", F_OK) != 0 &&
         access("/dev/dxg", F_OK) != 0;
}

}  // namespace

void vitrine::testing::skip(const std::string& reason) {
  skipped = true;
  MESSAGE("skipped: " << reason);
}

int main(int argc, char** argv) {
  if (lacks_gpu()) {
    std::puts("skipped: VITRINE_TEST_DEVICE asks for a GPU, and this machine has none");
    return kSkipped;
  }
  doctest::Context context(argc, argv);
  const int result = context.run();
  return result == 0 && skipped ? kSkipped : result;
}
