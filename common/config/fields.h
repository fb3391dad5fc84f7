// Options are plain structs with defaults. A struct lists its fields once, in `void fields(Fields& f)`, each with a
// key, a description and a range. TOML, `--set`, `--help-keys` and the printed configuration all use that list.
//
//  struct CropOptions {
//    double min_area = 0.08;
//    void fields(Fields& f) { f.number("min_area", min_area, "smallest share of the image's area", {0, 1}); }
//  };
#ifndef VITRINE_COMMON_CONFIG_FIELDS_H_
#define VITRINE_COMMON_CONFIG_FIELDS_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace vitrine {

/// Inclusive bounds of a number, or of each element of a list of numbers.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

/// One field of an options struct, or the start of a section.
struct Field {
  struct Section {};
  using Value = std::variant<Section, bool, std::int64_t, double, std::string, std::vector<std::string>,
                             std::vector<std::int64_t>, std::vector<double>>;
  std::string key;  ///< full key: "schedule.joint.epochs"
  std::string help;
  Value value;                     ///< the value when fields_of() was called
  Range range = {};                ///< numbers only
  std::vector<std::string> words;  ///< allowed values of a text; empty: any
  /// Writes into the struct, which must still exist. `value` must hold the same alternative as `Field::value`, within
  /// range and words.
  std::function<void(const Value& value)> set;

  bool is_section() const { return std::holds_alternative<Section>(value); }
  bool is_text() const { return std::holds_alternative<std::string>(value); }
};

/// The fields of an options struct, filled in by its `fields()`.
class Fields {
 public:
  void flag(const char* key, bool& value, const char* help) { add(key, help, value, {}, {}, assign(value)); }
  void text(const char* key, std::string& value, const char* help) { add(key, help, value, {}, {}, assign(value)); }
  void texts(const char* key, std::vector<std::string>& value, const char* help) {
    add(key, help, value, {}, {}, assign(value));
  }
  void number(const char* key, double& value, const char* help, Range range = {}) {
    add(key, help, value, range, {}, assign(value));
  }
  void numbers(const char* key, std::vector<double>& value, const char* help, Range range = {}) {
    add(key, help, value, range, {}, assign(value));
  }
  /// Any integer type; the range is clipped to the type's.
  template <class Integer>
  void integer(const char* key, Integer& value, const char* help, Range range = {}) {
    static_assert(std::is_integral_v<Integer>);
    add(key, help, static_cast<std::int64_t>(value), clip<Integer>(range), {},
        [&value](const Field::Value& wide) { value = static_cast<Integer>(std::get<std::int64_t>(wide)); });
  }
  template <class Integer>
  void integers(const char* key, std::vector<Integer>& value, const char* help, Range range = {}) {
    add(key, help, std::vector<std::int64_t>(value.begin(), value.end()), clip<Integer>(range), {},
        [&value](const Field::Value& wide) {
          const auto& numbers = std::get<std::vector<std::int64_t>>(wide);
          value.assign(numbers.begin(), numbers.end());
        });
  }
  /// One of a fixed set of words.
  template <class Enum>
  void choice(const char* key, Enum& value, const std::vector<std::pair<std::string, Enum>>& words, const char* help) {
    std::vector<std::string> names;
    std::string name;
    for (const auto& [word, meaning] : words) {
      names.push_back(word);
      if (meaning == value) name = word;
    }
    add(key, help, name, {}, std::move(names), [&value, words](const Field::Value& chosen) {
      for (const auto& [word, meaning] : words)
        if (word == std::get<std::string>(chosen)) value = meaning;
    });
  }
  /// A nested struct: a TOML table. Its keys are written "section.key" in messages and in `--set`.
  template <class Options>
  void section(const char* key, Options& options, const char* help) {
    add(key, help, Field::Section{}, {}, {}, {});
    const std::size_t length = prefix_.size();
    prefix_ += std::string(key) + ".";
    options.fields(*this);
    prefix_.resize(length);
  }

  /// In declaration order; a section precedes its fields.
  const std::vector<Field>& all() const& { return fields_; }
  void all() const&& = delete;  // the list would not outlive a range-for statement
  /// nullptr if there is no such key.
  const Field* find(const std::string& key) const {
    for (const Field& field : fields_)
      if (field.key == key) return &field;
    return nullptr;
  }

 private:
  template <class Type>
  static std::function<void(const Field::Value&)> assign(Type& value) {
    return [&value](const Field::Value& given) { value = std::get<Type>(given); };
  }
  void add(const char* key, const char* help, Field::Value value, Range range, std::vector<std::string> words,
           std::function<void(const Field::Value&)> set) {
    fields_.push_back({prefix_ + key, help, std::move(value), range, std::move(words), std::move(set)});
  }

  template <class Integer>
  static Range clip(Range range) {
    constexpr double low = static_cast<double>(std::numeric_limits<Integer>::lowest());
    // TOML integers are 64-bit signed.
    constexpr double high =
        static_cast<double>(sizeof(Integer) < 8 ? static_cast<std::int64_t>(std::numeric_limits<Integer>::max())
                                                : std::numeric_limits<std::int64_t>::max());
    return {range.low < low ? low : range.low, range.high > high ? high : range.high};
  }

  std::string prefix_;
  std::vector<Field> fields_;
};

/// The fields of `options`, which must outlive calls to set().
template <class Options>
Fields fields_of(Options& options) {
  Fields fields;
  options.fields(fields);
  return fields;
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_CONFIG_FIELDS_H_
