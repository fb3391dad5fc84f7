#include "common/cache/arithmetic.h"

#include <map>

#include "common/cache/attributes.h"
#include "common/cache/json_fields.h"

namespace vitrine {

ShardNotes read_notes(const Container& shard) {
  const std::string where = shard.path().string();
  const auto json = attributes(shard, kShardFormat);
  ShardNotes notes;
  notes.made_with = compute_from_json(JsonFields(json, where).at("made_with"), where);
  if (const auto loss = json.find("loss"); loss != json.end()) notes.loss = loss->dump();
  return notes;
}

std::vector<ArithmeticKind> arithmetic_kinds(std::span<const ShardNotes> shards) {
  std::map<ComputeRecord, std::uint64_t> kinds;
  for (const ShardNotes& notes : shards)
    if (notes.made_with) ++kinds[*notes.made_with];
  std::vector<ArithmeticKind> out;
  for (const auto& [made_with, count] : kinds) out.push_back({made_with, count});
  return out;
}

}  // namespace vitrine
