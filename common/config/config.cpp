#include "common/config/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <sstream>

#include "common/base/error.h"
#include "common/base/files.h"

namespace vitrine {
namespace {

// The shortest text that reads back as the same double, with a point so that TOML takes it for a float.
std::string shortest(double value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string out(buffer, end);
  if (out.find_first_of(".en") == std::string::npos) out += ".0";
  return out;
}

std::string bound(double value) {
  if (value == static_cast<double>(static_cast<std::int64_t>(value))) return text(static_cast<std::int64_t>(value));
  return shortest(value);
}

std::string describe(Range range) {
  const bool low = range.low > -9e18, high = range.high < 9e18;
  if (low && high) return "from " + bound(range.low) + " to " + bound(range.high);
  if (low) return "at least " + bound(range.low);
  if (high) return "at most " + bound(range.high);
  return "";
}

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

template <class Value, class Print>
std::string list(const std::vector<Value>& values, const Print& print) {
  std::string out = "[";
  for (const Value& value : values) out += (out.size() > 1 ? ", " : "") + print(value);
  return out + "]";
}

std::string shown(const toml::node& node) {
  std::ostringstream out;
  node.visit([&out](const auto& value) { out << value; });
  return out.str();
}

// Base for visitors that need the full key.
class KeyedFields : public Fields {
 protected:
  std::string full(const std::string& key) const { return prefix_ + key; }
  bool enter(const char* key, const char*) override {
    lengths_.push_back(prefix_.size());
    prefix_ += std::string(key) + ".";
    return true;
  }
  void leave() override {
    prefix_.resize(lengths_.back());
    lengths_.pop_back();
  }
  std::string prefix_;
  std::vector<std::size_t> lengths_;
};

class Collector : public KeyedFields {
 public:
  std::vector<std::string> keys, sections, text_keys;

 protected:
  void visit_bool(const char* key, bool&, const char*) override { keys.push_back(full(key)); }
  void visit_integer(const char* key, std::int64_t&, const char*, Range) override { keys.push_back(full(key)); }
  void visit_double(const char* key, double&, const char*, Range) override { keys.push_back(full(key)); }
  void visit_string(const char* key, std::string&, const char*, const std::vector<std::string>&) override {
    keys.push_back(full(key));
    text_keys.push_back(full(key));
  }
  void visit_strings(const char* key, std::vector<std::string>&, const char*) override { keys.push_back(full(key)); }
  void visit_integers(const char* key, std::vector<std::int64_t>&, const char*, Range) override {
    keys.push_back(full(key));
  }
  void visit_doubles(const char* key, std::vector<double>&, const char*, Range) override { keys.push_back(full(key)); }
  bool enter(const char* key, const char* help) override {
    sections.push_back(full(key));
    return KeyedFields::enter(key, help);
  }
};

class Reader : public KeyedFields {
 public:
  Reader(const toml::table& root, std::string source) : root_(root), source_(std::move(source)) {}

 protected:
  void visit_bool(const char* key, bool& value, const char*) override {
    if (const toml::node* node = find(key)) {
      const auto read = node->value_exact<bool>();
      if (!read) refuse(key, *node, "true or false");
      value = *read;
    }
  }
  void visit_integer(const char* key, std::int64_t& value, const char*, Range range) override {
    if (const toml::node* node = find(key)) value = integer_of(key, *node, *node, range);
  }
  void visit_double(const char* key, double& value, const char*, Range range) override {
    if (const toml::node* node = find(key)) value = double_of(key, *node, *node, range);
  }
  void visit_string(const char* key, std::string& value, const char*, const std::vector<std::string>& words) override {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto read = node->value_exact<std::string>();
    if (!read) refuse(key, *node, words.empty() ? "text in quotes" : "one of " + joined(words));
    if (!words.empty() && std::find(words.begin(), words.end(), *read) == words.end())
      refuse(key, *node, "one of " + joined(words));
    value = *read;
  }
  void visit_strings(const char* key, std::vector<std::string>& value, const char*) override {
    each(key, value, "a list of texts in quotes",
         [](const toml::node& element) { return element.value_exact<std::string>(); });
  }
  void visit_integers(const char* key, std::vector<std::int64_t>& value, const char*, Range range) override {
    each(key, value, "a list of integers", [&](const toml::node& element) -> std::optional<std::int64_t> {
      return integer_of(key, *find(key), element, range);
    });
  }
  void visit_doubles(const char* key, std::vector<double>& value, const char*, Range range) override {
    each(key, value, "a list of numbers", [&](const toml::node& element) -> std::optional<double> {
      return double_of(key, *find(key), element, range);
    });
  }

 private:
  const toml::node* find(const char* key) const { return root_.at_path(full(key)).node(); }

  [[noreturn]] void refuse(const char* key, const toml::node& node, const std::string& expected) const {
    fail(source_, ": ", full(key), " = ", shown(node), " is not allowed; expected ", expected);
  }
  std::int64_t integer_of(const char* key, const toml::node& whole, const toml::node& node, Range range) const {
    const auto read = node.value_exact<std::int64_t>();
    const std::string expected = "an integer " + describe(range);
    if (!read || static_cast<double>(*read) < range.low || static_cast<double>(*read) > range.high)
      refuse(key, whole, expected);
    return *read;
  }
  double double_of(const char* key, const toml::node& whole, const toml::node& node, Range range) const {
    const auto read = node.is_number() ? node.value<double>() : std::nullopt;
    if (!read || !(*read >= range.low && *read <= range.high)) refuse(key, whole, "a number " + describe(range));
    return *read;
  }
  template <class Value, class Read>
  void each(const char* key, std::vector<Value>& value, const char* expected, const Read& read) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr) refuse(key, *node, expected);
    value.clear();
    for (const toml::node& element : *array) {
      const auto item = read(element);
      if (!item) refuse(key, *node, expected);
      value.push_back(*item);
    }
  }

  const toml::table& root_;
  std::string source_;
};

[[noreturn]] void refuse_key(const std::string& name, const std::string& source, const Collector& known) {
  std::vector<std::string> candidates = known.keys;
  candidates.insert(candidates.end(), known.sections.begin(), known.sections.end());
  const std::string near = nearest_word(name, candidates);
  fail(source, ": unknown key ", name, near.empty() ? "; --help lists the keys" : "; did you mean " + near + "?");
}

bool among(const std::string& name, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Before the value of an override is parsed: a mistyped key is the likelier mistake.
void check_key(const std::string& name, const std::string& source, const Collector& known) {
  if (!among(name, known.keys) && !among(name, known.sections)) refuse_key(name, source, known);
}

// Every key of the table must be known.
void check_keys(const toml::table& table, const std::string& prefix, const std::string& source,
                const Collector& known) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (among(name, known.sections)) {
      if (!node.is_table())
        fail(source, ": ", name, " = ", shown(node), " is not allowed; ", name, " is a section with keys of its own");
      check_keys(*node.as_table(), name + ".", source, known);
    } else {
      check_key(name, source, known);
    }
  }
}

void read_into(const toml::table& table, const std::string& source, const config_internal::Visit& visit,
               const Collector& known) {
  check_keys(table, "", source, known);
  Reader reader(table, source);
  visit(reader);
}

class TomlPrinter : public KeyedFields {
 public:
  const std::string& result() const { return lines_; }

 protected:
  void visit_bool(const char* key, bool& value, const char*) override { put(key, value ? "true" : "false"); }
  void visit_integer(const char* key, std::int64_t& value, const char*, Range) override {
    put(key, vitrine::text(value));
  }
  void visit_double(const char* key, double& value, const char*, Range) override { put(key, shortest(value)); }
  void visit_string(const char* key, std::string& value, const char*, const std::vector<std::string>&) override {
    put(key, toml_text(value));
  }
  void visit_strings(const char* key, std::vector<std::string>& value, const char*) override {
    put(key, list(value, toml_text));
  }
  void visit_integers(const char* key, std::vector<std::int64_t>& value, const char*, Range) override {
    put(key, list(value, [](std::int64_t v) { return vitrine::text(v); }));
  }
  void visit_doubles(const char* key, std::vector<double>& value, const char*, Range) override {
    put(key, list(value, shortest));
  }

 private:
  // Dotted keys, so that the order of fields and sections does not matter.
  void put(const char* key, const std::string& value) { lines_ += full(key) + " = " + value + "\n"; }
  std::string lines_;
};

class HelpPrinter : public KeyedFields {
 public:
  std::string result() const {
    std::size_t width = 0;
    for (const Row& row : rows_) width = std::max(width, row.left.size());
    std::string out;
    for (const Row& row : rows_)
      out += "  " + row.left + std::string(width - row.left.size() + 2, ' ') + row.right + "\n";
    return out;
  }

 protected:
  void visit_bool(const char* key, bool& value, const char* help) override {
    put(key, value ? "true" : "false", help, "");
  }
  void visit_integer(const char* key, std::int64_t& value, const char* help, Range range) override {
    put(key, vitrine::text(value), help, describe(range));
  }
  void visit_double(const char* key, double& value, const char* help, Range range) override {
    put(key, shortest(value), help, describe(range));
  }
  void visit_string(const char* key, std::string& value, const char* help,
                    const std::vector<std::string>& words) override {
    put(key, toml_text(value), help, words.empty() ? "" : "one of " + joined(words));
  }
  void visit_strings(const char* key, std::vector<std::string>& value, const char* help) override {
    put(key, list(value, toml_text), help, "");
  }
  void visit_integers(const char* key, std::vector<std::int64_t>& value, const char* help, Range range) override {
    put(key, list(value, [](std::int64_t v) { return vitrine::text(v); }), help, describe(range));
  }
  void visit_doubles(const char* key, std::vector<double>& value, const char* help, Range range) override {
    put(key, list(value, shortest), help, describe(range));
  }
  bool enter(const char* key, const char* help) override {
    rows_.push_back({vitrine::text("[", full(key), "]"), help});
    return KeyedFields::enter(key, help);
  }

 private:
  struct Row {
    std::string left, right;
  };
  void put(const char* key, const std::string& value, const std::string& help, const std::string& allowed) {
    rows_.push_back(
        {vitrine::text(full(key), " = ", value), allowed.empty() ? help : vitrine::text(help, " (", allowed, ")")});
  }
  std::vector<Row> rows_;
};

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

void load(const std::filesystem::path& file, const std::vector<std::string>& overrides, const Visit& visit) {
  Collector known;
  visit(known);
  if (!file.empty()) {
    toml::table table;
    const std::string content = read_file(file);
    try {
      table = toml::parse(content, file.string());
    } catch (const toml::parse_error& error) {
      fail(file.string(), ", line ", error.source().begin.line, ": not valid TOML: ", error.description());
    }
    read_into(table, file.string(), visit, known);
  }
  for (const std::string& override_text : overrides) {
    const std::string source = "--set " + override_text;
    const std::size_t equals = override_text.find('=');
    if (equals == std::string::npos || equals == 0) fail(source, ": expected key=value, for instance train.seed=3");
    const std::string key = override_text.substr(0, equals), value = override_text.substr(equals + 1);
    check_key(key, source, known);
    const bool is_text = among(key, known.text_keys);
    const bool bare = is_text && (value.empty() || (value[0] != '"' && value[0] != '\''));
    toml::table table;
    try {
      table = toml::parse(key + " = " + (bare ? toml_text(value) : value));
    } catch (const toml::parse_error& error) {
      fail(source, ": the value is not valid TOML: ", error.description());
    }
    read_into(table, source, visit, known);
  }
}

std::string as_toml(const Visit& visit) {
  TomlPrinter printer;
  visit(printer);
  return printer.result();
}

std::string help(const Visit& visit) {
  HelpPrinter printer;
  visit(printer);
  return printer.result();
}

}  // namespace config_internal
}  // namespace vitrine
