// Parsing of untrusted JSON.
#ifndef VITRINE_COMMON_BASE_JSON_H_
#define VITRINE_COMMON_BASE_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "common/base/error.h"

namespace vitrine {

/// Copying, comparing and printing a value recurse, so the nesting depth of input is limited.
inline constexpr int kMaxJsonDepth = 32;

/// Parses `text`; the result is_discarded() if it is not JSON or nested deeper than kMaxJsonDepth.
template <class Json = nlohmann::json>
Json parse_json(const std::string& text) {
  bool deep = false;
  const auto within = [&deep](int depth, typename Json::parse_event_t, Json&) {
    deep = deep || depth > kMaxJsonDepth;
    return !deep;
  };
  Json json = Json::parse(text, within, false);
  return deep ? Json(Json::value_t::discarded) : json;
}

/// The value as an integer; nullopt if it is not an integer or out of range. The library's own conversion accepts
/// fractions and booleans and truncates.
template <class Integer, class Json>
std::optional<Integer> integer_of(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.template get<std::uint64_t>();
    return std::in_range<Integer>(number) ? std::optional(static_cast<Integer>(number)) : std::nullopt;
  }
  if (!value.is_number_integer()) return std::nullopt;
  const auto number = value.template get<std::int64_t>();
  return std::in_range<Integer>(number) ? std::optional(static_cast<Integer>(number)) : std::nullopt;
}

/// Returns call(), rethrowing its kInput errors with `kind`: a value that a user may not choose means damage or a newer
/// version when it comes from a file.
template <class Call>
auto read_as(ErrorKind kind, const Call& call) -> decltype(call()) {
  try {
    return call();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    throw Error(kind, error.problem());
  }
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_JSON_H_
