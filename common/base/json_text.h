// JSON as text for others to read.
#ifndef VITRINE_COMMON_BASE_JSON_TEXT_H_
#define VITRINE_COMMON_BASE_JSON_TEXT_H_

#include <nlohmann/json.hpp>
#include <string>

namespace vitrine {

/// The value on lines of its own, with a line feed at the end. Texts may come from paths: bytes that are not UTF-8,
/// which JSON cannot hold, are replaced by U+FFFD.
template <class Json>
std::string json_text(const Json& value, int indent = 2) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_JSON_TEXT_H_
