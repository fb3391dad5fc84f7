#include "common/cache/shard_directory.h"

#include <cstdio>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "common/base/error.h"
#include "common/cache/shard_name.h"

namespace vitrine {
std::string shard_file_name(std::uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%05llu.h5", static_cast<unsigned long long>(number));
  return name;
}

ShardDirectory::ShardDirectory(std::filesystem::path directory, Check check)
    : directory_(std::move(directory)), check_(std::move(check)), numbers_(list_shard_numbers(directory_)) {
  slots_.reserve(numbers_.size());
  for (const std::uint64_t number : numbers_) slots_.try_emplace(number);
}

std::uint64_t ShardDirectory::stored_bytes() const {
  std::call_once(measured_, [&] {
    for (const std::uint64_t number : numbers_) {
      std::error_code none;
      const std::uint64_t bytes = std::filesystem::file_size(directory_ / shard_file_name(number), none);
      if (!none) stored_bytes_ += bytes;
    }
  });
  return stored_bytes_;
}

const Container& ShardDirectory::open(std::uint64_t number) const {
  const auto found = slots_.find(number);
  if (found == slots_.end())
    throw Error(ErrorKind::kInput, {.path = (directory_ / shard_file_name(number)).string(),
                                    .what = "is missing",
                                    .remedy = "extract or copy it, or use passes that are complete"});
  std::atomic<const Container*>& slot = found->second.container;
  if (const Container* container = slot.load(std::memory_order_acquire)) return *container;
  // Two threads may both come here; the later one's work is thrown away.
  auto container = std::make_unique<Container>(directory_ / shard_file_name(number));
  check_(*container, number);
  {
    const std::lock_guard lock(opening_);
    container->shrink(datasets_);
  }
  const Container* there = nullptr;
  if (!slot.compare_exchange_strong(there, container.get(), std::memory_order_acq_rel)) return *there;
  return *container.release();
}

std::vector<std::uint32_t> ShardDirectory::complete_passes(const ShardLayout& layout) const {
  std::map<std::uint64_t, std::uint32_t> there;
  for (const std::uint64_t number : numbers_) ++there[layout.pass_of(number)];
  std::vector<std::uint32_t> passes;
  for (const auto& [pass, shards] : there)
    if (shards == layout.shards_per_pass()) passes.push_back(static_cast<std::uint32_t>(pass));
  return passes;
}

}  // namespace vitrine
