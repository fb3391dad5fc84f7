#include "common/base/json_difference.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace vitrine {

std::vector<JsonDifference> json_differences(const nlohmann::ordered_json& there, const nlohmann::ordered_json& here,
                                             const std::string& above) {
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
