// Field-by-field differences between two JSON objects that should be equal, for messages.
#ifndef VITRINE_COMMON_BASE_JSON_DIFFERENCE_H_
#define VITRINE_COMMON_BASE_JSON_DIFFERENCE_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vitrine {

/// A full key ("codec.max_error") and its two values as JSON text; "nothing" if absent.
struct JsonDifference {
  std::string key, there, here;
};

/// Depth first: the keys of `here` in order, then keys that only `there` has.
std::vector<JsonDifference> json_differences(const nlohmann::ordered_json& there, const nlohmann::ordered_json& here,
                                             const std::string& above = {});

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_JSON_DIFFERENCE_H_
