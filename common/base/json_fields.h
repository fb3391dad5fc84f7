// Typed access to the fields of a JSON object read from a file.
#ifndef VITRINE_COMMON_BASE_JSON_FIELDS_H_
#define VITRINE_COMMON_BASE_JSON_FIELDS_H_

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/json.h"

namespace vitrine {

/// Reads fields of one object; unknown fields are ignored. Every call throws Error, kCorrupt, whose message starts with
/// `where` and names the full key. Does not own the object.
class JsonFields {
 public:
  /// `above`: the object's own key path, with a trailing dot; empty for the top level.
  JsonFields(const nlohmann::ordered_json& in, std::string where, std::string above = {})
      : in_(in), where_(std::move(where)), above_(std::move(above)) {
    if (!in.is_object())
      damaged(above_.empty() ? "is not an object" : text(above_.substr(0, above_.size() - 1), " is not an object"));
  }

  bool has(const char* key) const { return in_.contains(key); }
  const nlohmann::ordered_json& at(const char* key) const {
    const auto found = in_.find(key);
    if (found == in_.end()) damaged(text(above_, key, " is missing"));
    return *found;
  }
  JsonFields object(const char* key) const { return {at(key), where_, text(above_, key, '.')}; }
  const nlohmann::ordered_json& array(const char* key) const {
    const nlohmann::ordered_json& value = at(key);
    if (!value.is_array()) refuse(key, value, "a list");
    return value;
  }
  std::string words(const char* key) const { return words_of(key, at(key)); }
  bool flag(const char* key) const {
    const nlohmann::ordered_json& value = at(key);
    if (!value.is_boolean()) refuse(key, value, "true or false");
    return value.template get<bool>();
  }
  template <class Integer>
  Integer integer(const char* key) const {
    return integer_of_field<Integer>(key, at(key));
  }
  template <class Integer>
  std::vector<Integer> integers(const char* key, const char* element) const {
    std::vector<Integer> out;
    for (const auto& value : array(key)) out.push_back(integer_of_field<Integer>(element, value));
    return out;
  }
  /// The same, or `absent` if the key is missing: for fields that older versions did not write.
  template <class Integer>
  Integer integer_or(const char* key, Integer absent) const {
    return has(key) ? integer<Integer>(key) : absent;
  }
  bool flag_or(const char* key, bool absent) const { return has(key) ? flag(key) : absent; }
  std::string words_or(const char* key, const std::string& absent) const { return has(key) ? words(key) : absent; }
  /// Finite.
  double number(const char* key) const { return number_of(key, at(key)); }
  /// In [low, high].
  double number(const char* key, double low, double high) const {
    const double value = number(key);
    if (value < low || value > high) refuse(key, at(key), text("a number in [", low, ", ", high, "]"));
    return value;
  }
  std::vector<double> numbers(const char* key) const {
    std::vector<double> out;
    for (const auto& value : array(key)) out.push_back(number_of(key, value));
    return out;
  }
  std::vector<std::string> list_of_words(const char* key) const {
    std::vector<std::string> out;
    for (const auto& value : array(key)) out.push_back(words_of(key, value));
    return out;
  }

  const std::string& where() const { return where_; }
  const nlohmann::ordered_json& json() const { return in_; }
  [[noreturn]] void damaged(const std::string& what) const {
    throw Error(ErrorKind::kCorrupt,
                {.path = where_, .what = what, .remedy = "the file is damaged, copy or make it again"});
  }

 private:
  [[noreturn]] void refuse(const char* key, const nlohmann::ordered_json& value, const std::string& expected) const {
    constexpr std::size_t kMaxShown = 60;
    std::string shown = value.dump(-1, ' ', true);  // ASCII, so that it may be cut anywhere
    if (shown.size() > kMaxShown) shown = shown.substr(0, kMaxShown) + "...";
    throw Error(
        ErrorKind::kCorrupt,
        {.path = where_, .what = text(above_, key, " = ", shown, " is not allowed"), .remedy = "expected " + expected});
  }
  std::string words_of(const char* key, const nlohmann::ordered_json& value) const {
    if (!value.is_string()) refuse(key, value, "a text");
    return value.template get<std::string>();
  }
  template <class Integer>
  Integer integer_of_field(const char* key, const nlohmann::ordered_json& value) const {
    const auto number = vitrine::integer_of<Integer>(value);
    if (!number) refuse(key, value, "an integer");
    return *number;
  }
  double number_of(const char* key, const nlohmann::ordered_json& value) const {
    if (!value.is_number() || !std::isfinite(value.template get<double>())) refuse(key, value, "a number");
    return value.template get<double>();
  }

  const nlohmann::ordered_json& in_;
  std::string where_, above_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_JSON_FIELDS_H_
