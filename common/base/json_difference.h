// How two JSON objects that should be equal differ, field by field, for messages.
#ifndef VITRINE_COMMON_BASE_JSON_DIFFERENCE_H_
#define VITRINE_COMMON_BASE_JSON_DIFFERENCE_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vitrine {

/// A key, with those above it ("codec.max_error"), and its values as JSON text; "nothing" where it is not there.
struct JsonDifference {
  std::string key, there, here;
};

/// Depth first, in the order of `here`, then what `there` alone has.
std::vector<JsonDifference> json_differences(const nlohmann::ordered_json& there, const nlohmann::ordered_json& here,
                                             const std::string& above = {});

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_JSON_DIFFERENCE_H_
