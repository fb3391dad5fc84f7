#include "common/config/mistakes.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <sstream>
#include <utility>
#include <variant>

#include "common/base/error.h"
#include "common/base/utf8.h"
#include "common/config/config.h"
#include "common/config/field_text.h"
#include "common/config/key_names.h"

namespace vitrine::config_internal {
namespace {

std::string trimmed(std::string_view words) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!words.empty() && is_space(words.front())) words.remove_prefix(1);
  while (!words.empty() && is_space(words.back())) words.remove_suffix(1);
  return std::string(words);
}

// Without quotes, also typographic ones, at either end.
std::string unquoted(std::string words) {
  constexpr std::string_view kQuotes[] = {"\"", "'", "“", "”", "‘", "’"};
  for (const std::string_view quote : kQuotes) {
    while (words.starts_with(quote)) words.erase(0, quote.size());
    while (words.ends_with(quote)) words.erase(words.size() - quote.size());
  }
  return words;
}

// In double quotes, which a shell and TOML both know; in TOML's own if the text holds characters that need care.
std::string quoted(const std::string& words) {
  return words.find_first_of("\"\\\n\r\t") == std::string::npos ? '"' + words + '"' : toml_text(words);
}

std::optional<double> number_in(const std::string& words, Range range) {
  double value = 0;
  const char* end = words.data() + words.size();
  const auto read = std::from_chars(words.data() + (words.starts_with('+') ? 1 : 0), end, value);
  if (words.empty() || read.ec != std::errc() || read.ptr != end || !(value >= range.low && value <= range.high))
    return std::nullopt;
  return value;
}

std::vector<std::string> elements_of(std::string words) {
  std::erase_if(words, [](char c) { return c == '[' || c == ']' || c == '\n' || c == '\r'; });
  std::vector<std::string> out;
  std::istringstream in(words);
  for (std::string word; std::getline(in, word, ',');)
    if (!unquoted(trimmed(word)).empty()) out.push_back(unquoted(trimmed(word)));
  return out;
}

// A value of the field that TOML can read, near to what was given.
class Example {
 public:
  Example(const Field& field, const std::string& given) : field_(field), given_(given) {}

  std::string operator()(Field::Section) const { return {}; }
  std::string operator()(bool) const {
    std::string low = given_;
    std::ranges::transform(low, low.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return low == "false" || low == "no" || low == "off" || low == "0" ? "false" : "true";
  }
  std::string operator()(std::int64_t usual) const { return number(given_, true).value_or(text(usual)); }
  std::string operator()(double usual) const { return number(given_, false).value_or(toml_number(usual)); }
  std::string operator()(const std::string& usual) const {
    const std::vector<std::string>& words = field_.words;
    if (std::ranges::find(words, given_) != words.end()) return quoted(given_);
    if (!words.empty()) return quoted(usual.empty() ? words.front() : usual);
    return quoted(!given_.empty() && is_utf8(given_) ? given_ : usual.empty() ? "text" : usual);
  }
  std::string operator()(const std::vector<std::string>& usual) const {
    std::vector<std::string> out = elements_of(given_);
    if (out.empty()) out = usual.empty() ? std::vector<std::string>{"text"} : usual;
    return list(out, quoted);
  }
  std::string operator()(const std::vector<std::int64_t>& usual) const {
    return numbers(true, list(usual, [](std::int64_t value) { return text(value); }));
  }
  std::string operator()(const std::vector<double>& usual) const { return numbers(false, list(usual, toml_number)); }

 private:
  std::optional<std::string> number(const std::string& words, bool whole) const {
    const std::optional<double> value = number_in(words, field_.range);
    if (!value || !(*value > -9e15 && *value < 9e15)) return std::nullopt;
    if (!whole) return toml_number(*value);
    if (*value != static_cast<double>(static_cast<std::int64_t>(*value))) return std::nullopt;
    return text(static_cast<std::int64_t>(*value));
  }
  std::string numbers(bool whole, const std::string& usual) const {
    std::vector<std::string> out;
    for (const std::string& element : elements_of(given_)) {
      const auto one = number(element, whole);
      if (!one) return usual;
      out.push_back(*one);
    }
    return out.empty() ? usual : list(out, [](const std::string& one) { return one; });
  }

  const Field& field_;
  const std::string& given_;
};

// The place of a mistake.
struct Place {
  Place(const Source& source_, std::uint32_t line)
      : source(source_), where(source_.at(line)), section(source_.section_at(line)) {}
  const Source& source;
  std::string where, section;
};

// A setting of the field as it would be written there.
std::string setting(const Field& field, std::string given, const Place& place) {
  while (given.ends_with(';') || given.ends_with(',')) given.pop_back();
  const std::string value = std::visit(Example(field, unquoted(given)), field.value);
  if (place.source.is_file())
    return field.key.substr(field.key.starts_with(place.section) ? place.section.size() : 0) + " = " + value;
  const std::string bare = field.is_text() && value.starts_with('"') ? unquoted(value) : value;
  const std::string words = field.key + "=" + bare;
  const bool plain = words.find_first_of(" \t[]{}\"'$&|;<>*?()`\\#!~") == std::string::npos;
  return plain ? words : words.find('\'') == std::string::npos ? "'" + words + "'" : words;
}

std::string child_of(const Field& section, const Field& field) {
  const std::string prefix = section.key + ".";
  const bool direct = field.key.starts_with(prefix) && field.key.find('.', prefix.size()) == std::string::npos;
  return direct ? field.key : "";
}

[[noreturn]] void refuse_section_value(const Field& section, const std::string& value, const Place& place,
                                       const Fields& fields) {
  constexpr std::size_t kShown = 8;
  const std::string word = unquoted(value);
  std::vector<std::string> keys;
  const Field *first = nullptr, *meant = nullptr;
  for (const Field& field : fields.all()) {
    if (child_of(section, field).empty()) continue;
    keys.push_back(field.key);
    if (field.is_section()) continue;
    if (first == nullptr) first = &field;
    if (meant == nullptr && std::ranges::find(field.words, word) != field.words.end()) meant = &field;
  }
  const std::size_t more = keys.size() - std::min(keys.size(), kShown);
  keys.resize(keys.size() - more);
  std::string words = joined(keys);
  if (more > 0) words += text(" and ", more, " more, which --help-keys ", section.key, " lists");
  if (meant != nullptr) words += "; did you mean " + setting(*meant, word, place) + "?";
  if (meant == nullptr && first != nullptr) words += "; for instance " + setting(*first, "", place);
  fail(place.where, ": ", value.empty() ? "" : text(section.key, " = ", value, " is not allowed; "), section.key,
       " is a section with keys of its own: ", words);
}

// The beginning of what was given, on one line.
std::string beginning(const std::string& words) {
  constexpr std::size_t kShown = 60;
  std::size_t end = std::min(words.find('\n'), kShown);
  if (end >= words.size()) return words;
  while (end > 0 && (static_cast<unsigned char>(words[end]) & 0xC0) == 0x80) --end;  // not within a character
  return trimmed(words.substr(0, end)) + " ...";
}

[[noreturn]] void refuse_at(const Field& field, const std::string& value, const Place& place, const Fields& fields) {
  const std::string shown = beginning(trimmed(value));
  if (field.is_section()) refuse_section_value(field, shown, place, fields);
  fail(place.where, ": ", field.key, " = ", shown, " is not allowed; expected ", expected(field), ", for instance ",
       setting(field, trimmed(value), place));
}

// An example for where no key is known.
std::string any_setting(const Place& place, const Fields& fields) {
  for (const Field& field : fields.all())
    if (std::holds_alternative<std::int64_t>(field.value)) return setting(field, "", place);
  for (const Field& field : fields.all())
    if (!field.is_section()) return setting(field, "", place);
  return "key = 1";
}

bool is_key(const std::string& words) {
  return !words.empty() && std::ranges::all_of(words, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
  });
}

std::optional<toml::table> parsed(std::string_view content) {
  try {
    return toml::parse(content);
  } catch (const toml::parse_error&) {
    return std::nullopt;
  }
}

// A value without the comment after it.
std::string without_comment(const std::string& value) {
  const bool in_quotes = value.starts_with('"') || value.starts_with('\'');
  const std::size_t from = in_quotes ? value.find(value[0], 1) : 0;
  return trimmed(value.substr(0, from == std::string::npos ? from : value.find('#', from)));
}

// One statement that is not TOML.
[[noreturn]] void refuse_statement(const std::string& statement, const Place& place, const Fields& fields) {
  if (statement.starts_with('[')) {
    std::string name = without_comment(statement);
    std::erase_if(name, [](char c) { return c == '[' || c == ']' || c == ' '; });
    if (!is_key(name))
      fail(place.where, ": ", beginning(statement), " is not TOML; expected the name of a section in brackets");
    const Field& field = known_field(name, place.where, fields);
    if (!field.is_section())
      fail(place.where, ": ", name, " is a key, not a section; expected ", setting(field, "", place));
    if (parsed(statement))
      fail(place.where, ": ", name, " is given a second time; give each key and each section once");
    fail(place.where, ": ", beginning(statement), " is not TOML; expected [", name, "]");
  }
  const std::size_t end = std::min(statement.find_first_of("=:"), statement.find('\n'));
  std::string key = trimmed(statement.substr(0, end));
  std::string value = end < statement.size() ? trimmed(statement.substr(end + 1)) : "";
  const bool has_sign = end < statement.size() && statement[end] == '=';
  if (const std::size_t space = key.find(' '); !has_sign && value.empty() && space != std::string::npos) {
    value = trimmed(key.substr(space));  // "seed 3"
    key.resize(space);
  }
  if (!is_key(key))
    fail(place.where, ": ", beginning(statement), " is not TOML; expected key = value, for instance ",
         any_setting(place, fields));
  const Field& field = known_field(place.section + key, place.where, fields);
  value = without_comment(value);
  if (has_sign && parsed(statement))
    fail(place.where, ": ", field.key, " is given a second time; give each key and each section once");
  if (field.is_section()) refuse_section_value(field, value, place, fields);
  if (has_sign && !value.empty()) refuse_at(field, value, place, fields);
  fail(place.where, ": ", field.key, " has no value; expected ", setting(field, value, place));
}

}  // namespace

std::string Source::at(std::uint32_t line) const {
  return is_file_ && line > 0 ? text(name_, ", line ", line) : name_;
}

std::string Source::section_at(std::uint32_t line) const {
  std::string out;
  std::istringstream in(content_);
  std::string words;
  for (std::uint32_t number = 1; number < line && std::getline(in, words); ++number) {
    const std::string header = without_comment(trimmed(words));
    if (!header.starts_with('[') || !header.ends_with(']')) continue;
    if (const std::string name = trimmed(header.substr(1, header.size() - 2)); is_key(name)) out = name + ".";
  }
  return out;
}

void refuse_value(const Field& field, const std::string& value, const Source& source, std::uint32_t line,
                  const Fields& fields) {
  refuse_at(field, value, Place(source, line), fields);
}

void refuse_override(const std::string& words, const Source& source, const Fields& fields) {
  const Place place(source, 0);
  const std::string key = trimmed(words.substr(0, words.find('=')));
  if (key.empty()) fail(place.where, ": expected key=value, for instance ", any_setting(place, fields));
  const Field& field = known_field(key, place.where, fields);
  if (field.is_section()) refuse_section_value(field, "", place, fields);
  fail(place.where, ": ", key, " has no value; expected key=value, for instance ", setting(field, "", place));
}

void refuse_content(const Source& source, std::uint32_t line, const Fields& fields) {
  constexpr std::size_t kMaxLines = 200;  // of one statement
  const std::string_view content = source.content();
  std::vector<std::size_t> starts{0};
  for (std::size_t i = 0; i < content.size(); ++i)
    if (content[i] == '\n' && i + 1 < content.size()) starts.push_back(i + 1);
  const auto text_of = [&](std::size_t first, std::size_t last) {
    const std::size_t end = last + 1 < starts.size() ? starts[last + 1] : content.size();
    return content.substr(starts[first], end - starts[first]);
  };
  for (std::size_t i = 0; i < starts.size(); ++i)
    if (!is_utf8(text_of(i, i)))
      fail(source.at(static_cast<std::uint32_t>(i + 1)), ": is not UTF-8; save the file in this encoding");
  // The statement begins after the longest text that can be read, and ends where the parser stopped.
  const std::size_t last = std::min<std::size_t>(std::max(line, 1u), starts.size()) - 1;
  for (std::size_t first = last + 1; first-- > 0 && last - first < kMaxLines;)
    if (parsed(content.substr(0, starts[first])))
      refuse_statement(trimmed(text_of(first, last)), Place(source, static_cast<std::uint32_t>(first + 1)), fields);
  const Place place(source, line);
  fail(place.where, ": is not TOML; expected key = value, for instance ", any_setting(place, fields));
}

}  // namespace vitrine::config_internal
