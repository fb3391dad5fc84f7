// Messages about settings that cannot be read: an unknown key, a value of another type, text that is not TOML. Internal
// to this room. Each names the place and the key, and ends with what would work there.
#ifndef VITRINE_COMMON_CONFIG_MISTAKES_H_
#define VITRINE_COMMON_CONFIG_MISTAKES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/config/fields.h"

namespace vitrine::config_internal {

/// Where settings were given, for messages.
class Source {
 public:
  static Source file(const std::string& path, std::string content) { return {path, std::move(content), true}; }
  static Source override_of(const std::string& words) { return {"--set " + words, "", false}; }

  /// "run.toml, line 3", or "--set seed=a" whatever the line (counted from 1; 0: unknown).
  std::string at(std::uint32_t line) const;
  bool is_file() const { return is_file_; }
  const std::string& content() const { return content_; }
  /// The section in which the line is, with a '.': "schedule.joint."; empty in none, and in an override.
  std::string section_at(std::uint32_t line) const;

 private:
  Source(std::string name, std::string content, bool is_file)
      : name_(std::move(name)), content_(std::move(content)), is_file_(is_file) {}
  std::string name_, content_;
  bool is_file_;
};

std::string joined(const std::vector<std::string>& words);
/// The text as TOML, quoted.
std::string toml_text(const std::string& value);
/// A field's value as TOML; empty for a section.
std::string toml_value(const Field::Value& value);
/// "from 1 to 10"; empty without bounds.
std::string describe(Range range);
std::string last_word(const std::string& key);

/// Whether another tool, or an earlier version, calls the key by `word`: "warmup" for "joint.warm_up_epochs".
bool is_also_called(const std::string& key, const std::string& word);

/// What a value of this field must be: "an integer from 1 to 10", "one of red, blue".
std::string expected(const Field& field);

/// The field of that key. Throws Error at `where`, with the keys that may be meant.
const Field& known_field(const std::string& key, const std::string& where, const Fields& fields);

/// Throws Error: `value`, as it was given, cannot be the field's, which may be a section.
[[noreturn]] void refuse_value(const Field& field, const std::string& value, const Source& source, std::uint32_t line,
                               const Fields& fields);

/// Throws Error: there is no '=' in the override `words`, or nothing before it.
[[noreturn]] void refuse_override(const std::string& words, const Source& source, const Fields& fields);

/// Throws Error for the statement of a file that the TOML parser refused at or before `line`.
[[noreturn]] void refuse_content(const Source& source, std::uint32_t line, const Fields& fields);

}  // namespace vitrine::config_internal

#endif  // VITRINE_COMMON_CONFIG_MISTAKES_H_
