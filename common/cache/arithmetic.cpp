#include "common/cache/arithmetic.h"

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/cache/attributes.h"

namespace vitrine {

ShardNotes read_notes(const Container& shard) {
  const auto json = attributes(shard, kShardFormat);
  ShardNotes notes;
  if (const auto made_with = json.find("made_with"); made_with != json.end()) {
    if (!made_with->is_object())
      throw Error(ErrorKind::kCorrupt, {.path = shard.path().string(),
                                        .what = "made_with is no object",
                                        .remedy = "copy or make the file again"});
    for (const auto& [key, value] : made_with->items())
      notes.made_with[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  if (const auto loss = json.find("loss"); loss != json.end()) notes.loss = loss->dump();
  return notes;
}

std::vector<ArithmeticKind> arithmetic_kinds(std::span<const ShardNotes> shards) {
  std::map<std::map<std::string, std::string>, std::uint64_t> kinds;
  for (const ShardNotes& notes : shards) ++kinds[notes.made_with];
  std::vector<ArithmeticKind> out;
  for (const auto& [words, count] : kinds) out.push_back({words, count});
  return out;
}

}  // namespace vitrine
