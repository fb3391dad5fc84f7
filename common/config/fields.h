// Options are plain structs with defaults. A struct names each of its fields once, in `void fields(Fields& f)`, with a
// key, a sentence and a range; reading TOML, `--set`, `--help` and the printed resolved configuration all come from
// that one place.
//
//   struct CropOptions {
//     double min_area = 0.08;
//     void fields(Fields& f) { f.number("min_area", min_area, "smallest share of the image's area", {0, 1}); }
//   };
#ifndef VITRINE_COMMON_CONFIG_FIELDS_H_
#define VITRINE_COMMON_CONFIG_FIELDS_H_

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace vitrine {

/// Inclusive bounds of a number, or of each element of a list of numbers.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

/// Visits the fields of an options struct. Keys inside a section are written "section.key" in messages and in `--set`.
class Fields {
 public:
  virtual ~Fields() = default;

  void flag(const char* key, bool& value, const char* help) { visit_bool(key, value, help); }
  void text(const char* key, std::string& value, const char* help) { visit_string(key, value, help, {}); }
  void texts(const char* key, std::vector<std::string>& value, const char* help) { visit_strings(key, value, help); }
  void number(const char* key, double& value, const char* help, Range range = {}) {
    visit_double(key, value, help, range);
  }
  void numbers(const char* key, std::vector<double>& value, const char* help, Range range = {}) {
    visit_doubles(key, value, help, range);
  }
  /// Any integer type; the range is cut to what the type holds.
  template <class Integer>
  void integer(const char* key, Integer& value, const char* help, Range range = {}) {
    static_assert(std::is_integral_v<Integer>);
    auto wide = static_cast<std::int64_t>(value);
    visit_integer(key, wide, help, clip<Integer>(range));
    value = static_cast<Integer>(wide);
  }
  template <class Integer>
  void integers(const char* key, std::vector<Integer>& value, const char* help, Range range = {}) {
    std::vector<std::int64_t> wide(value.begin(), value.end());
    visit_integers(key, wide, help, clip<Integer>(range));
    value.assign(wide.begin(), wide.end());
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
    visit_string(key, name, help, names);
    for (const auto& [word, meaning] : words)
      if (word == name) value = meaning;
  }
  /// A nested struct: a TOML table.
  template <class Options>
  void section(const char* key, Options& options, const char* help) {
    if (!enter(key, help)) return;
    options.fields(*this);
    leave();
  }

 protected:
  virtual void visit_bool(const char* key, bool& value, const char* help) = 0;
  virtual void visit_integer(const char* key, std::int64_t& value, const char* help, Range range) = 0;
  virtual void visit_double(const char* key, double& value, const char* help, Range range) = 0;
  /// `words`: the allowed values; empty means any.
  virtual void visit_string(const char* key, std::string& value, const char* help,
                            const std::vector<std::string>& words) = 0;
  virtual void visit_strings(const char* key, std::vector<std::string>& value, const char* help) = 0;
  virtual void visit_integers(const char* key, std::vector<std::int64_t>& value, const char* help, Range range) = 0;
  virtual void visit_doubles(const char* key, std::vector<double>& value, const char* help, Range range) = 0;
  virtual bool enter(const char* key, const char* help) = 0;
  virtual void leave() = 0;

 private:
  template <class Integer>
  static Range clip(Range range) {
    constexpr double low = static_cast<double>(std::numeric_limits<Integer>::lowest());
    // TOML integers are 64-bit signed.
    constexpr double high =
        static_cast<double>(sizeof(Integer) < 8 ? static_cast<std::int64_t>(std::numeric_limits<Integer>::max())
                                                : std::numeric_limits<std::int64_t>::max());
    return {range.low < low ? low : range.low, range.high > high ? high : range.high};
  }
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CONFIG_FIELDS_H_
