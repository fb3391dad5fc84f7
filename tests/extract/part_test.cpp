#include "extract/part.h"

#include <map>
#include <string>

#include "common/base/error.h"
#include "tests/support/testing.h"

using namespace vitrine;

namespace {

std::string resolved(const std::string& part, const std::map<std::string, std::string>& environment) {
  return resolve_part(part, [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

}  // namespace

TEST_CASE("auto takes rank and size from torchrun, else from srun, and other words stay") {
  CHECK(resolved("auto", {{"RANK", "0"}, {"WORLD_SIZE", "1"}}) == "1/1");
  CHECK(resolved("auto", {{"RANK", "3"}, {"WORLD_SIZE", "8"}}) == "4/8");
  CHECK(resolved("auto", {{"SLURM_PROCID", "7"}, {"SLURM_NTASKS", "8"}}) == "8/8");
  // torchrun under srun: one task a machine, several ranks in it.
  CHECK(resolved("auto", {{"RANK", "5"}, {"WORLD_SIZE", "16"}, {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}}) ==
        "6/16");
  CHECK(resolved("2/3", {{"RANK", "0"}, {"WORLD_SIZE", "8"}}) == "2/3");
  CHECK(resolved("Auto", {{"RANK", "0"}, {"WORLD_SIZE", "8"}}) == "Auto");
}

TEST_CASE("auto without a launcher, or with half of one, is an error that names the variable") {
  const auto refused = [](const std::map<std::string, std::string>& environment, const char* words) {
    CAPTURE(words);
    CHECK_THROWS_WITH_AS(resolved("auto", environment), doctest::Contains(words), Error);
  };
  refused({}, "neither RANK and WORLD_SIZE nor SLURM_PROCID and SLURM_NTASKS");
  refused({{"RANK", "0"}}, "RANK is set, but not WORLD_SIZE");
  refused({{"SLURM_NTASKS", "2"}}, "SLURM_NTASKS is set, but not SLURM_PROCID");
  refused({{"RANK", "2"}, {"WORLD_SIZE", "2"}}, "RANK = 2 is not below WORLD_SIZE = 2");
  refused({{"RANK", "0"}, {"WORLD_SIZE", "0"}}, "RANK = 0 is not below WORLD_SIZE = 0");
  refused({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}, "RANK = \"-1\" is not a number");
  refused({{"RANK", "0"}, {"WORLD_SIZE", "two"}}, "WORLD_SIZE = \"two\" is not a number");
  refused({{"RANK", ""}, {"WORLD_SIZE", "2"}}, "RANK = \"\" is not a number");
}
