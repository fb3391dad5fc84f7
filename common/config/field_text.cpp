#include "common/config/field_text.h"

#include <toml++/toml.h>

#include <charconv>
#include <cstdint>
#include <sstream>
#include <variant>

#include "common/base/error.h"
#include "common/config/config.h"

namespace vitrine {

std::string toml_number(double value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string out(buffer, end);
  if (out.find_first_of(".en") == std::string::npos) out += ".0";
  return out;
}

namespace config_internal {
namespace {

std::string bound(double value) {
  if (value == static_cast<double>(static_cast<std::int64_t>(value))) return text(static_cast<std::int64_t>(value));
  return toml_number(value);
}

std::string with_space(const std::string& words) {
  return words.empty() ? "" : " " + words;
}

}  // namespace

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::string toml_text(const std::string& value) {
  std::ostringstream out;
  out << toml::value<std::string>(value);
  return out.str();
}

std::string toml_value(const Field::Value& value) {
  struct Printer {
    std::string operator()(Field::Section) const { return {}; }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(std::int64_t number) const { return text(number); }
    std::string operator()(double number) const { return toml_number(number); }
    std::string operator()(const std::string& words) const { return toml_text(words); }
    std::string operator()(const std::vector<std::string>& texts) const { return list(texts, toml_text); }
    std::string operator()(const std::vector<std::int64_t>& numbers) const {
      return list(numbers, [](std::int64_t number) { return text(number); });
    }
    std::string operator()(const std::vector<double>& numbers) const { return list(numbers, toml_number); }
  };
  return std::visit(Printer{}, value);
}

std::string describe(Range range) {
  const bool low = range.low > -9e18, high = range.high < 9e18;
  if (low && high) return "from " + bound(range.low) + " to " + bound(range.high);
  if (low) return "at least " + bound(range.low);
  if (high) return "at most " + bound(range.high);
  return "";
}

std::string expected(const Field& field) {
  struct Words {
    const Field& field;
    std::string operator()(Field::Section) const { return "a section"; }
    std::string operator()(bool) const { return "true or false"; }
    std::string operator()(std::int64_t) const { return "an integer" + with_space(describe(field.range)); }
    std::string operator()(double) const { return "a number" + with_space(describe(field.range)); }
    std::string operator()(const std::string&) const {
      return field.words.empty() ? "text in quotes" : "one of " + joined(field.words);
    }
    std::string operator()(const std::vector<std::string>&) const { return "a list of texts in quotes"; }
    std::string operator()(const std::vector<std::int64_t>&) const {
      return "a list of integers" + with_space(describe(field.range));
    }
    std::string operator()(const std::vector<double>&) const {
      return "a list of numbers" + with_space(describe(field.range));
    }
  };
  return std::visit(Words{field}, field.value);
}

}  // namespace config_internal
}  // namespace vitrine
