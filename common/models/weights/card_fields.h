// Typed access to the fields of other projects' configuration files, where null means absent.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_CARD_FIELDS_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_CARD_FIELDS_H_

#include <array>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/base/json.h"

namespace vitrine {

/// An object in a file, or none. Calls return nullopt for a key that is absent or null, and throw Error, kInput, that
/// names the file and the full key for a value of another type. Does not own the object.
class CardFields {
 public:
  CardFields(const nlohmann::json* in, std::string path, std::string above = {})
      : in_(in), path_(std::move(path)), above_(std::move(above)) {}

  bool exists() const { return in_ != nullptr; }
  const std::string& path() const { return path_; }

  /// Null if the key is absent.
  const nlohmann::json* find(const char* key) const {
    if (in_ == nullptr) return nullptr;
    const auto found = in_->find(key);
    return found == in_->end() || found->is_null() ? nullptr : &*found;
  }
  CardFields object(const char* key) const {
    const nlohmann::json* value = find(key);
    if (value != nullptr && !value->is_object()) refuse(key, *value, "an object");
    return {value, path_, above_ + key + "."};
  }
  std::optional<std::string> words(const char* key) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) refuse(key, *value, "a text");
    return value->get<std::string>();
  }
  std::optional<bool> flag(const char* key) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) refuse(key, *value, "true or false");
    return value->get<bool>();
  }
  /// From 1 to a million, which is beyond any size of a model.
  std::optional<std::int64_t> size(const char* key) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return std::nullopt;
    return size_of(key, *value);
  }
  /// From 0.
  std::optional<std::int64_t> count(const char* key) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return std::nullopt;
    return *value == 0 ? 0 : size_of(key, *value);
  }
  std::int64_t size_of(const char* key, const nlohmann::json& value) const {
    const auto number = integer_of<std::int64_t>(value);
    if (!number || *number < 1 || *number > 1'000'000) refuse(key, value, "an integer from 1 to 1000000");
    return *number;
  }
  std::optional<double> number(const char* key) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return std::nullopt;
    return number_of(key, *value);
  }
  std::optional<std::array<double, 3>> triplet(const char* key) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_array() || value->size() != 3) refuse(key, *value, "three numbers");
    return std::array{number_of(key, (*value)[0]), number_of(key, (*value)[1]), number_of(key, (*value)[2])};
  }

  [[noreturn]] void refuse(const char* key, const nlohmann::json& value, const char* expected) const {
    std::string shown = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
    fail(path_, ": ", above_, key, " = ", shown, " is not allowed; expected ", expected);
  }

 private:
  double number_of(const char* key, const nlohmann::json& value) const {
    if (!value.is_number() || !std::isfinite(value.get<double>())) refuse(key, value, "a number");
    return value.get<double>();
  }

  const nlohmann::json* in_;
  std::string path_, above_;
};

/// Sets a field that no file before has said.
template <class Value>
void say(std::optional<Value>& field, std::optional<Value> value) {
  if (!field) field = std::move(value);
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_CARD_FIELDS_H_
