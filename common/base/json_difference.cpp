#include "common/base/json_difference.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/error.h"

namespace vitrine {

std::vector<JsonDifference> json_differences(const nlohmann::ordered_json& recorded,
                                             const nlohmann::ordered_json& given, const std::string& above) {
  std::vector<JsonDifference> out;
  for (const auto& [key, value] : given.items()) {
    const auto old = recorded.find(key);
    if (old == recorded.end()) {
      out.push_back({above + key, "nothing", value.dump()});
    } else if (old->is_object() && value.is_object()) {
      for (JsonDifference& inner : json_differences(*old, value, above + key + ".")) out.push_back(std::move(inner));
    } else if (*old != value) {
      out.push_back({above + key, old->dump(), value.dump()});
    }
  }
  for (const auto& [key, value] : recorded.items())
    if (!given.contains(key)) out.push_back({above + key, value.dump(), "nothing"});
  return out;
}

std::string describe_differences(const std::vector<JsonDifference>& differences, const std::string& where_given) {
  std::string words;
  for (const JsonDifference& difference : differences)
    words += text(words.empty() ? "" : ", ", difference.key, " is ", difference.recorded, ", but ", difference.given,
                  " in ", where_given);
  return words;
}

}  // namespace vitrine
