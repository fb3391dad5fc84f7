// How two JSON objects that should be equal differ, for messages. Private to the rooms that compare what caches say.
#ifndef VITRINE_COMMON_CACHE_JSON_DIFFERENCE_H_
#define VITRINE_COMMON_CACHE_JSON_DIFFERENCE_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vitrine {

/// A key, with those above it ("codec.max_error"), and its values as JSON text; "nothing" where it is not there.
struct JsonDifference {
  std::string key, there, here;
};

/// Depth first, in the order of `here`, then what `there` alone has.
inline std::vector<JsonDifference> json_differences(const nlohmann::ordered_json& there,
                                                    const nlohmann::ordered_json& here, const std::string& above = {}) {
  std::vector<JsonDifference> out;
  for (const auto& [key, value] : here.items()) {
    const auto old = there.find(key);
    if (old == there.end()) {
      out.push_back({above + key, "nothing", value.dump()});
    } else if (old->is_object() && value.is_object()) {
      for (JsonDifference& inner : json_differences(*old, value, above + key + ".")) out.push_back(std::move(inner));
    } else if (*old != value) {
      out.push_back({above + key, old->dump(), value.dump()});
    }
  }
  for (const auto& [key, value] : there.items())
    if (!here.contains(key)) out.push_back({above + key, value.dump(), "nothing"});
  return out;
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_JSON_DIFFERENCE_H_
