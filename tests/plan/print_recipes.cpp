// print_recipes HEIGHT WIDTH COUNT [key=value...]: the recipes of pass 3 of a plan over COUNT images of one size, as
// raw 40-byte records. For recipes_peer.py.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/plan/plan.h"

int main(int count, char** words) {
  using namespace vitrine;
  return guarded_main("print_recipes", [&] {
    if (count < 4) fail("expected HEIGHT WIDTH COUNT [key=value...]");
    const auto number = [&](int i) { return static_cast<std::uint32_t>(std::strtoul(words[i], nullptr, 10)); };
    auto index = std::make_shared<ImageIndex>();
    index->classes = {"only"};
    for (std::uint32_t i = 0; i < number(3); ++i) index->images.push_back({text(i), number(1), number(2), 0, 0, i});
    PlanOptions options;
    load_config("", std::vector<std::string>(words + 4, words + count), options);
    const Plan plan(index, options);
    for (std::uint32_t g = 0; g < plan.groups_per_pass(); ++g) {
      const std::vector<Recipe> views = plan.group(3, g);
      if (std::fwrite(views.data(), sizeof(Recipe), views.size(), stdout) != views.size())
        fail("standard output is closed");
    }
    return 0;
  });
}
