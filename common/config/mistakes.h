// Messages about settings that cannot be read: an unknown key, a value of another type, text that is not TOML. Internal
// to this room. Each names the place and the key, and ends with what would work there.
#ifndef VITRINE_COMMON_CONFIG_MISTAKES_H_
#define VITRINE_COMMON_CONFIG_MISTAKES_H_

#include <cstdint>
#include <string>
#include <utility>

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

/// Throws Error: `value`, as it was given, cannot be the field's, which may be a section.
[[noreturn]] void refuse_value(const Field& field, const std::string& value, const Source& source, std::uint32_t line,
                               const Fields& fields);

/// Throws Error: there is no '=' in the override `words`, or nothing before it.
[[noreturn]] void refuse_override(const std::string& words, const Source& source, const Fields& fields);

/// Throws Error for the statement of a file that the TOML parser refused at or before `line`.
[[noreturn]] void refuse_content(const Source& source, std::uint32_t line, const Fields& fields);

}  // namespace vitrine::config_internal

#endif  // VITRINE_COMMON_CONFIG_MISTAKES_H_
