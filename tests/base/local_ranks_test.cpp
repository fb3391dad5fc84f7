#include "common/base/local_ranks.h"

#include <sched.h>

#include <map>
#include <string>

#include "common/base/error.h"
#include "tests/support/testing.h"

using namespace vitrine;

namespace {

Environment environment_of(const std::map<std::string, std::string>& variables) {
  return [variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

}  // namespace

TEST_CASE("the local rank comes from torchrun, else from srun, but not from a batch script or shell") {
  const auto ranks = [](const std::map<std::string, std::string>& variables) {
    const auto found = local_rank(environment_of(variables));
    return found ? text(found->rank, "/", found->count, " ", found->variable) : "none";
  };
  CHECK(ranks({}) == "none");
  CHECK(ranks({{"LOCAL_RANK", "3"}, {"LOCAL_WORLD_SIZE", "8"}}) == "3/8 LOCAL_RANK");
  CHECK(ranks({{"LOCAL_RANK", "3"}}) == "3/1 LOCAL_RANK");
  const std::map<std::string, std::string> step{{"SLURM_LOCALID", "2"}, {"SLURM_STEP_ID", "0"}};
  CHECK(ranks(step) == "2/1 SLURM_LOCALID");
  auto with = [&](const char* name, const char* value) {
    auto variables = step;
    variables[name] = value;
    return variables;
  };
  CHECK(ranks(with("SLURM_NTASKS_PER_NODE", "4")) == "2/4 SLURM_LOCALID");
  CHECK(ranks(with("SLURM_STEP_TASKS_PER_NODE", "3(x2),5")) == "2/5 SLURM_LOCALID");
  CHECK(ranks({{"SLURM_LOCALID", "0"}, {"SLURM_NTASKS_PER_NODE", "8"}}) == "none");  // a batch script has no step
  // torchrun under srun: one task per machine, several ranks in it.
  auto both = with("LOCAL_RANK", "5");
  both["LOCAL_WORLD_SIZE"] = "8";
  CHECK(ranks(both) == "5/8 LOCAL_RANK");
}

TEST_CASE("invalid launcher variables are named") {
  const auto refused = [](const std::map<std::string, std::string>& variables, const char* words) {
    CAPTURE(words);
    CHECK_THROWS_WITH_AS(local_rank(environment_of(variables)), doctest::Contains(words), Error);
  };
  refused({{"LOCAL_RANK", "x"}}, "LOCAL_RANK = \"x\" is not a number");
  refused({{"LOCAL_RANK", "-1"}}, "LOCAL_RANK = \"-1\" is not a number");
  refused({{"LOCAL_RANK", "2"}, {"LOCAL_WORLD_SIZE", "2"}}, "LOCAL_RANK = 2 is not below LOCAL_WORLD_SIZE = 2");
  refused({{"SLURM_LOCALID", "0"}, {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_TASKS_PER_NODE", "(x2)"}},
          "SLURM_STEP_TASKS_PER_NODE = \"(x2)\"");
}

TEST_CASE("processes of one launcher share the cores, at least one each") {
  const auto share = [](std::uint32_t usable, const std::map<std::string, std::string>& variables) {
    return cores_of_rank(usable, environment_of(variables));
  };
  CHECK(share(16, {}) == 16);
  CHECK(share(16, {{"LOCAL_RANK", "0"}, {"LOCAL_WORLD_SIZE", "8"}}) == 2);
  CHECK(share(4, {{"LOCAL_RANK", "7"}, {"LOCAL_WORLD_SIZE", "8"}}) == 1);
  std::map<std::string, std::string> step{
      {"SLURM_LOCALID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_NTASKS_PER_NODE", "4"}, {"SLURM_CPUS_ON_NODE", "32"}};
  CHECK(share(32, step) == 8);
  CHECK(share(8, step) == 8);  // already bound to its own cores
  CHECK(share(6, step) == 6);
  step.erase("SLURM_CPUS_ON_NODE");
  CHECK(share(32, step) == 8);
}

TEST_CASE("a control group's quota is rounded to whole cores") {
  CHECK(quota_cores("max 100000\n") == std::nullopt);
  CHECK(quota_cores("200000 100000\n") == 2u);
  CHECK(quota_cores("250000 100000") == 3u);
  CHECK(quota_cores("1000 100000") == 1u);
  CHECK(quota_cores("-1\n 100000\n") == std::nullopt);
  CHECK(quota_cores("150000\n 100000\n") == 2u);
  CHECK(quota_cores("") == std::nullopt);
  CHECK(quota_cores("200000") == std::nullopt);
  CHECK(quota_cores("0 0") == std::nullopt);
}

TEST_CASE("a process bound to one core has one") {
  CHECK(usable_cores() >= 1);
  cpu_set_t before, one;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &before)) {
      CPU_SET(cpu, &one);
      break;
    }
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(usable_cores() == 1);
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
}
