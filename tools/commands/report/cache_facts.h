// What a run learnt from: the tracks of its cache, and what was lost in their encoding.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_CACHE_FACTS_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_CACHE_FACTS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace vitrine {

struct TrackFacts {
  std::string name, teacher;  ///< "features.11", "vit_tiny.0123abcd"
  std::string shape, encoding, passes;
  std::string bound;  ///< of the error, as configured; empty: the encoding has none
  std::string loss;   ///< as measured, in words; empty: not measured
  std::uint64_t bytes = 0, views = 0;
};

struct CacheFacts {
  std::string directory, plan_hash, images;
  std::vector<std::pair<std::string, std::string>> plan;      ///< its settings
  std::vector<std::pair<std::string, std::string>> teachers;  ///< directory, description
  std::vector<TrackFacts> tracks;
  std::vector<std::string> unreadable;  ///< tracks and shards, in sentences
};

/// Reads the tables of every shard. Throws Error when there is no cache.
CacheFacts read_cache_facts(const std::string& directory);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_CACHE_FACTS_H_
