#include "common/base/error.h"

#include <cstdio>
#include <exception>

namespace vitrine {

int guarded_main(const char* program, const std::function<int()>& body) {
  try {
    return body();
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: internal error, please report it with the command line: %s\n", program, error.what());
    return 70;
  }
}

}  // namespace vitrine
