#include "common/config/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <variant>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/config/field_text.h"
#include "common/config/key_names.h"
#include "common/config/mistakes.h"

namespace vitrine {
namespace {

using namespace config_internal;

std::string shown(const toml::node& node) {
  if (const auto* number = node.as_floating_point()) return toml_number(number->get());
  std::string out;
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) out += (out.empty() ? "" : ", ") + shown(element);
    return "[" + out + "]";
  }
  if (const toml::table* table = node.as_table()) {
    for (const auto& [key, inner] : *table) out += (out.empty() ? "" : ", ") + text(key.str(), " = ", shown(inner));
    return "{" + out + "}";
  }
  std::ostringstream words;
  node.visit([&words](const auto& value) { words << value; });
  return words.str();
}

// Converts a TOML node to a field's value. Throws Error for a wrong type or a value outside range or words.
class Reader {
 public:
  Reader(const Field& field, const toml::node& node, const Source& source)
      : field_(field), node_(node), source_(source) {}

  Field::Value operator()(Field::Section) const { return Field::Section{}; }
  Field::Value operator()(bool) const {
    const auto read = node_.value_exact<bool>();
    if (!read) refuse();
    return *read;
  }
  Field::Value operator()(std::int64_t) const { return integer_of(node_); }
  Field::Value operator()(double) const { return number_of(node_); }
  Field::Value operator()(const std::string&) const {
    const auto read = node_.value_exact<std::string>();
    if (!read || (!field_.words.empty() && std::ranges::find(field_.words, *read) == field_.words.end())) refuse();
    return *read;
  }
  Field::Value operator()(const std::vector<std::string>&) const {
    return each<std::string>([&](const toml::node& element) {
      const auto read = element.value_exact<std::string>();
      if (!read) refuse();
      return *read;
    });
  }
  Field::Value operator()(const std::vector<std::int64_t>&) const {
    return each<std::int64_t>([&](const toml::node& element) { return integer_of(element); });
  }
  Field::Value operator()(const std::vector<double>&) const {
    return each<double>([&](const toml::node& element) { return number_of(element); });
  }

 private:
  [[noreturn]] void refuse() const {
    fail(source_.at(node_.source().begin.line), ": ", field_.key, " = ", shown(node_), " is not allowed; expected ",
         expected(field_));
  }
  std::int64_t integer_of(const toml::node& node) const {
    const auto read = node.value_exact<std::int64_t>();
    if (!read || static_cast<double>(*read) < field_.range.low || static_cast<double>(*read) > field_.range.high)
      refuse();
    return *read;
  }
  double number_of(const toml::node& node) const {
    const auto read = node.is_number() ? node.value<double>() : std::nullopt;
    if (!read || !(*read >= field_.range.low && *read <= field_.range.high)) refuse();
    return *read;
  }
  template <class Value, class Read>
  std::vector<Value> each(const Read& read) const {
    const toml::array* array = node_.as_array();
    if (array == nullptr) refuse();
    std::vector<Value> out;
    for (const toml::node& element : *array) out.push_back(read(element));
    return out;
  }

  const Field& field_;
  const toml::node& node_;
  const Source& source_;
};

// Checks all keys of the table before any field is set.
void check_keys(const toml::table& table, const std::string& prefix, const Source& source, const Fields& fields) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const std::string where = source.at(key.source().begin.line);
    const Field& field = known_field(name, where, fields);
    // In quotes its dots are part of the name: no section has such a key, so that it would set nothing.
    if (key.str().find('.') != std::string_view::npos)
      fail(where, ": \"", key.str(), "\" in quotes sets nothing; write ", key.str(), " without quotes");
    if (!field.is_section()) continue;
    if (!node.is_table()) refuse_value(field, shown(node), source, key.source().begin.line, fields);
    check_keys(*node.as_table(), name + ".", source, fields);
  }
}

void read_into(const toml::table& table, const Source& source, const Fields& fields) {
  check_keys(table, "", source, fields);
  for (const Field& field : fields.all()) {
    if (field.is_section()) continue;
    if (const toml::node* node = table.at_path(field.key).node())
      field.set(std::visit(Reader(field, *node, source), field.value));
  }
}

std::string allowed(const Field& field) {
  return field.words.empty() ? describe(field.range) : "one of " + joined(field.words);
}

}  // namespace

std::string nearest_word(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = word.size() / 2 + 1;
  for (const std::string& candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t up = row[j];
        row[j] = std::min({up + 1, row[j - 1] + 1, diagonal + (word[i - 1] != candidate[j - 1] ? 1u : 0u)});
        diagonal = up;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

namespace config_internal {

void load(const std::filesystem::path& file, const std::vector<std::string>& overrides, const Fields& fields) {
  if (!file.empty()) {
    const Source source = Source::file(file.string(), read_file(file));
    toml::table table;
    try {
      table = toml::parse(source.content(), file.string());
    } catch (const toml::parse_error& error) {
      refuse_content(source, error.source().begin.line, fields);
    }
    read_into(table, source, fields);
  }
  for (const std::string& override_text : overrides) {
    const Source source = Source::override_of(override_text);
    const std::size_t equals = override_text.find('=');
    std::string key = override_text.substr(0, equals), value;
    if (equals != std::string::npos) value = override_text.substr(equals + 1);
    if (key.ends_with(' ')) {  // "key = value", as in a file
      key.erase(key.find_last_not_of(' ') + 1);
      value.erase(0, value.find_first_not_of(' '));
    }
    if (equals == std::string::npos || key.empty()) refuse_override(override_text, source, fields);
    // Before the value is parsed: a mistyped key is the likelier mistake.
    const Field& field = known_field(key, source.at(0), fields);
    const bool bare = field.is_text() && (value.empty() || (value[0] != '"' && value[0] != '\''));
    toml::table table;
    try {
      table = toml::parse(key + " = " + (bare ? toml_text(value) : value));
    } catch (const toml::parse_error&) {
      refuse_value(field, value, source, 0, fields);
    }
    read_into(table, source, fields);
  }
}

std::string as_toml(const Fields& fields) {
  // Dotted keys, so the order of fields and sections does not matter.
  std::string lines;
  for (const Field& field : fields.all())
    if (!field.is_section()) lines += field.key + " = " + toml_value(field.value) + "\n";
  return lines;
}

std::string changes(const Fields& fields, const Fields& defaults) {
  std::string lines;
  for (std::size_t i = 0; i < fields.all().size(); ++i) {
    const Field& field = fields.all()[i];
    const std::string value = toml_value(field.value);
    if (!field.is_section() && value != toml_value(defaults.all().at(i).value))
      lines += field.key + " = " + value + "\n";
  }
  return lines;
}

std::string help(const Fields& fields, const std::vector<std::string>& first, const std::string& word) {
  const auto lower = [](std::string words) {
    for (char& c : words) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return words;
  };
  const auto wanted = [&](const Field& field) {
    return word.empty() || lower(field.key + " " + field.help).find(lower(word)) != std::string::npos ||
           (!field.is_section() && is_also_called(field.key, lower(word)));
  };
  const auto is_first = [&](const Field& field) { return std::ranges::find(first, field.key) != first.end(); };
  struct Group {
    std::string title;
    std::vector<const Field*> fields;
  };
  std::vector<Group> groups{{"Common keys", {}}, {"Other keys", {}}};
  for (const std::string& key : first) {
    const Field* field = fields.find(key);
    if (field == nullptr) throw std::logic_error("config_help: there is no key " + key);
    if (wanted(*field)) groups[0].fields.push_back(field);
  }
  // A field belongs to the section in its key, wherever it was declared.
  std::map<std::string, std::size_t> group_of{{"", 1}};
  for (const Field& field : fields.all()) {
    if (field.is_section()) {
      group_of[field.key + "."] = groups.size();
      groups.push_back({"[" + field.key + "]  " + field.help, {}});
    } else if (wanted(field) && !is_first(field)) {
      groups[group_of.at(field.key.substr(0, field.key.size() - last_word(field.key).size()))].fields.push_back(&field);
    }
  }
  std::size_t width = 0;
  const auto left = [](const Field& field) { return field.key + " = " + toml_value(field.value); };
  for (const Group& group : groups)
    for (const Field* field : group.fields) width = std::max(width, left(*field).size());
  std::string out;
  for (const Group& group : groups) {
    if (group.fields.empty()) continue;
    out += (out.empty() ? "" : "\n") + group.title + "\n";
    for (const Field* field : group.fields) {
      const std::string key = left(*field), range = allowed(*field);
      out += "  " + key + std::string(width - key.size() + 2, ' ') + field->help +
             (range.empty() ? "" : " (" + range + ")") + "\n";
    }
  }
  if (out.empty()) fail("--help-keys ", word, ": no key has this word in its name or meaning; --help-keys lists all");
  return out;
}

}  // namespace config_internal
}  // namespace vitrine
