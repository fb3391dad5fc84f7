#include "common/base/local_ranks.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

#include "common/base/error.h"

namespace vitrine {
namespace {

template <class Number>
bool parse(std::string_view word, Number& value) {
  const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), value);
  return !word.empty() && failure == std::errc() && end == word.data() + word.size();
}

// Number of cores in the affinity mask, for any number of CPUs.
std::uint32_t affinity_cores() {
  for (std::size_t cpus = 1024; cpus <= (1 << 20); cpus *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(cpus), [](cpu_set_t* s) { CPU_FREE(s); });
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    if (set && sched_getaffinity(0, bytes, set.get()) == 0)
      return static_cast<std::uint32_t>(CPU_COUNT_S(bytes, set.get()));
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

std::string content(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The smallest quota of this process's control group and its ancestors. Version 1 is read only at the root, where
// containers show it.
std::optional<std::uint32_t> quota_of_control_group() {
  std::optional<std::uint32_t> narrowest;
  const auto meet = [&](const std::string& cpu_max) {
    if (const auto cores = quota_cores(cpu_max)) narrowest = std::min(narrowest.value_or(*cores), *cores);
  };
  const std::string groups = content("/proc/self/cgroup");
  const std::size_t unified = groups.find("0::");
  std::string group =
      unified == std::string::npos ? "" : groups.substr(unified + 3, groups.find('\n', unified) - unified - 3);
  while (true) {
    meet(content("/sys/fs/cgroup" + group + "/cpu.max"));
    if (group.empty()) break;
    group.erase(std::min(group.size(), group.rfind('/')));
  }
  meet(content("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") + " " + content("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  return narrowest;
}

// Parses "4(x2),3", the tasks per node of a step. If nodes differ, returns the largest, so that cores are never
// oversubscribed.
std::optional<std::uint32_t> tasks_per_node(const Environment& environment) {
  if (const auto per_node = number_of(environment, "SLURM_NTASKS_PER_NODE")) return per_node;
  const char* value = environment("SLURM_STEP_TASKS_PER_NODE");
  if (value == nullptr) return std::nullopt;
  std::uint32_t most = 0;
  const std::string_view words(value);
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t comma = std::min(words.find(',', at), words.size());
    const std::string_view entry = words.substr(at, comma - at);
    std::uint32_t tasks = 0;
    if (!parse(entry.substr(0, entry.find('(')), tasks))
      fail("SLURM_STEP_TASKS_PER_NODE = \"", words, "\" is not a list of numbers like 4(x2),3; start under srun");
    most = std::max(most, tasks);
    at = comma + 1;
  }
  return most;
}

}  // namespace

Environment process_environment() {
  return [](const char* name) { return std::getenv(name); };
}

std::optional<std::uint32_t> number_of(const Environment& environment, const char* name) {
  const char* word = environment(name);
  if (word == nullptr) return std::nullopt;
  std::uint32_t value = 0;
  if (!parse(word, value))
    fail("the environment variable ", name, " = \"", word,
         "\" is not a number; start under torchrun or srun, or unset it");
  return value;
}

std::optional<LocalRank> local_rank(const Environment& environment) {
  LocalRank out;
  const char* count_name = "LOCAL_WORLD_SIZE";
  if (const auto rank = number_of(environment, "LOCAL_RANK")) {
    out = {*rank, number_of(environment, count_name).value_or(1), "LOCAL_RANK"};
    if (environment(count_name) == nullptr) return out;
  } else {
    const auto task = number_of(environment, "SLURM_LOCALID");
    if (!task || environment("SLURM_STEP_ID") == nullptr) return std::nullopt;
    count_name = "SLURM_NTASKS_PER_NODE";
    const auto tasks = tasks_per_node(environment);
    out = {*task, tasks.value_or(1), "SLURM_LOCALID"};
    if (!tasks) return out;
  }
  if (out.rank >= out.count)
    fail(out.variable, " = ", out.rank, " is not below ", count_name, " = ", out.count,
         "; ranks are counted from 0: start under torchrun or srun, or unset both");
  return out;
}

std::optional<std::uint32_t> quota_cores(std::string_view cpu_max) {
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
  std::int64_t numbers[2];
  for (std::int64_t& number : numbers) {
    while (!cpu_max.empty() && is_space(cpu_max.front())) cpu_max.remove_prefix(1);
    const std::size_t length =
        static_cast<std::size_t>(std::find_if(cpu_max.begin(), cpu_max.end(), is_space) - cpu_max.begin());
    if (!parse(cpu_max.substr(0, length), number)) return std::nullopt;  // "max" or a missing file
    cpu_max.remove_prefix(length);
  }
  const auto [quota, period] = numbers;
  if (quota <= 0 || period <= 0) return std::nullopt;  // -1: no limit
  return static_cast<std::uint32_t>(std::min<std::int64_t>((quota + period - 1) / period, 1 << 20));
}

std::uint32_t usable_cores() {
  const std::uint32_t affinity = std::max(1u, affinity_cores());
  return std::min(affinity, quota_of_control_group().value_or(affinity));
}

std::uint32_t cores_of_rank(std::uint32_t usable, const Environment& environment) {
  const std::optional<LocalRank> rank = local_rank(environment);
  if (!rank || rank->count <= 1) return std::max(1u, usable);
  std::uint32_t whole = usable;
  if (rank->variable == "SLURM_LOCALID")
    whole = std::max(whole, number_of(environment, "SLURM_CPUS_ON_NODE").value_or(0));
  return std::max(1u, std::min(usable, whole / rank->count));
}

std::uint32_t default_threads() {
  return cores_of_rank(usable_cores(), process_environment());
}

}  // namespace vitrine
