// Field-by-field differences between two JSON objects that should be equal, for messages: what a file records, and what
// a configuration, a run or another file gives.
#ifndef VITRINE_COMMON_BASE_JSON_DIFFERENCE_H_
#define VITRINE_COMMON_BASE_JSON_DIFFERENCE_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vitrine {

/// A full key ("codec.max_error") and its two values as JSON text; "nothing" if absent.
struct JsonDifference {
  std::string key, recorded, given;
};

/// Depth first: the keys of `given` in order, then keys that only `recorded` has.
std::vector<JsonDifference> json_differences(const nlohmann::ordered_json& recorded,
                                             const nlohmann::ordered_json& given, const std::string& above = {});

/// "seed is 7, but 8 in WHERE_GIVEN, flip is 0.5, but 0.4 in WHERE_GIVEN"; empty without differences.
std::string describe_differences(const std::vector<JsonDifference>& differences, const std::string& where_given);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_JSON_DIFFERENCE_H_
