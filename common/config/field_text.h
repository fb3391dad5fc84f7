// Fields and their values in words and as TOML. Internal to this room; thread-safe.
#ifndef VITRINE_COMMON_CONFIG_FIELD_TEXT_H_
#define VITRINE_COMMON_CONFIG_FIELD_TEXT_H_

#include <string>
#include <vector>

#include "common/config/fields.h"

namespace vitrine::config_internal {

/// "a, b, c".
std::string joined(const std::vector<std::string>& words);
/// The text as TOML, quoted.
std::string toml_text(const std::string& value);
/// A field's value as TOML; empty for a section.
std::string toml_value(const Field::Value& value);
/// "from 1 to 10"; empty without bounds.
std::string describe(Range range);
/// What a value of this field must be: "an integer from 1 to 10", "one of red, blue".
std::string expected(const Field& field);

/// The values as a TOML list, each as `print` makes it.
template <class Value, class Print>
std::string list(const std::vector<Value>& values, const Print& print) {
  std::string out = "[";
  for (const Value& value : values) out += (out.size() > 1 ? ", " : "") + print(value);
  return out + "]";
}

}  // namespace vitrine::config_internal

#endif  // VITRINE_COMMON_CONFIG_FIELD_TEXT_H_
