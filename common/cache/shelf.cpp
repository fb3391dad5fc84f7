#include "common/cache/shelf.h"

#include <cstdio>
#include <utility>

#include "common/base/error.h"

namespace vitrine {
namespace {

constexpr std::size_t kDigits = 5, kMaxDigits = 10;

bool is_shard_name(const std::string& name) {
  const std::size_t digits = name.find('.');
  return digits != std::string::npos && digits >= kDigits && digits <= kMaxDigits && name.substr(digits) == ".h5" &&
         name.find_first_not_of("0123456789") == digits && (digits == kDigits || name[0] != '0');
}

}  // namespace

std::string shard_file_name(std::uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%05llu.h5", static_cast<unsigned long long>(number));
  return name;
}

Shelf::Shelf(std::filesystem::path directory, Check check)
    : directory_(std::move(directory)), check_(std::move(check)) {
  if (!std::filesystem::exists(directory_)) return;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(directory_, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (!is_shard_name(name)) continue;
    slots_.emplace(std::stoull(name), std::make_unique<Slot>());
    stored_bytes_ += entry->file_size();
  }
  if (failure) fail(directory_.string(), ": cannot be listed (", failure.message(), ")");
}

std::vector<std::uint64_t> Shelf::numbers() const {
  std::vector<std::uint64_t> all;
  for (const auto& [number, slot] : slots_) all.push_back(number);
  return all;
}

const Container& Shelf::open(std::uint64_t number) const {
  const auto found = slots_.find(number);
  if (found == slots_.end())
    fail((directory_ / shard_file_name(number)).string(),
         ": is missing; extract or copy it, or use passes that are complete");
  Slot& slot = *found->second;
  std::call_once(slot.once, [&] {
    auto container = std::make_unique<const Container>(directory_ / shard_file_name(number));
    check_(*container, number);
    slot.container = std::move(container);
  });
  return *slot.container;
}

std::vector<std::uint32_t> Shelf::complete_passes(std::uint32_t shards_per_pass) const {
  std::map<std::uint64_t, std::uint32_t> there;
  for (const auto& [number, slot] : slots_) ++there[number / shards_per_pass];
  std::vector<std::uint32_t> passes;
  for (const auto& [pass, shards] : there)
    if (shards == shards_per_pass) passes.push_back(static_cast<std::uint32_t>(pass));
  return passes;
}

}  // namespace vitrine
