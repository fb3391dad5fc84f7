// peer_values NAME ARGUMENT...: one program, since each that links LibTorch costs seconds to build.
#include "tests/support/peer_values.h"

#include <functional>
#include <map>

#include "common/base/error.h"

namespace vitrine::testing {
namespace {

void write_peer_values(const std::string& name, const Arguments& arguments) {
  const std::map<std::string, std::function<void(const Arguments&)>> functions{{"grad_cam", dump_grad_cam},
                                                                               {"losses", dump_losses},
                                                                               {"models", dump_models},
                                                                               {"preprocessing", dump_preprocessing},
                                                                               {"weights", dump_weights}};
  const auto found = functions.find(name);
  if (found == functions.end()) fail("peer_values has grad_cam, losses, models, preprocessing and weights, not ", name);
  found->second(arguments);
}

}  // namespace
}  // namespace vitrine::testing

int main(int argc, char** argv) {
  return vitrine::guarded_main("peer_values", [&] {
    if (argc < 2) vitrine::fail("usage: peer_values NAME ARGUMENT...");
    vitrine::testing::write_peer_values(argv[1], {argv + 2, argv + argc});
    return 0;
  });
}
