#include "common/base/run_weights.h"

#include <filesystem>

#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;

namespace fs = std::filesystem;

TEST_CASE("a run's weights are found from its directory and from the folder that has them, the best before the last") {
  const TemporaryDirectory root;
  const fs::path run = root.path() / "run", exported = exported_folder(run);
  fs::create_directories(exported);
  CHECK_FALSE(weights_of_run(run).has_value());
  write_whole(last_weights_in(exported), "last");
  CHECK(weights_of_run(run) == last_weights_in(exported));
  CHECK(weights_of_run(exported) == last_weights_in(exported));
  write_whole(best_weights_in(exported), "best");
  CHECK(weights_of_run(run) == best_weights_in(exported));
  CHECK(weights_of_run(exported / "") == best_weights_in(exported));
  // Files with these names outside a run do not count.
  const fs::path other = root.path() / "other";
  write_whole(best_weights_in(other), "best");
  CHECK_FALSE(weights_of_run(other).has_value());
}

TEST_CASE("the run of its weights is told by their names") {
  for (const char* path : {"a/run", "a/run/", "a/run/exported", "a/run/exported/", "a/run/exported/best.safetensors",
                           "a/run/exported/last.safetensors"})
    CHECK_MESSAGE(run_of_weights(path) == "a/run", path);
  CHECK(run_of_weights("a/last.safetensors") == "a/last.safetensors");
  CHECK(run_of_weights("a/exported/vit.safetensors") == "a/exported/vit.safetensors");
  CHECK(run_of_weights("last.safetensors") == "last.safetensors");
  CHECK(run_of_weights("vit/") == "vit");
}
