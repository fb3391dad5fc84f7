#include "common/config/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <variant>

#include "common/base/error.h"
#include "common/base/files.h"

namespace vitrine {
namespace {

// The shortest text that reads back as the same double, with a decimal point so that TOML parses it as a float.
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

std::string toml_value(const Field::Value& value) {
  struct Printer {
    std::string operator()(Field::Section) const { return {}; }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(std::int64_t number) const { return text(number); }
    std::string operator()(double number) const { return shortest(number); }
    std::string operator()(const std::string& words) const { return toml_text(words); }
    std::string operator()(const std::vector<std::string>& texts) const { return list(texts, toml_text); }
    std::string operator()(const std::vector<std::int64_t>& numbers) const {
      return list(numbers, [](std::int64_t number) { return text(number); });
    }
    std::string operator()(const std::vector<double>& numbers) const { return list(numbers, shortest); }
  };
  return std::visit(Printer{}, value);
}

// Converts a TOML node to a field's value. Throws Error for a wrong type or a value outside range or words.
class Reader {
 public:
  Reader(const Field& field, const toml::node& node, const std::string& source)
      : field_(field), node_(node), source_(source) {}

  Field::Value operator()(Field::Section) const { return Field::Section{}; }
  Field::Value operator()(bool) const {
    const auto read = node_.value_exact<bool>();
    if (!read) refuse("true or false");
    return *read;
  }
  Field::Value operator()(std::int64_t) const { return integer_of(node_); }
  Field::Value operator()(double) const { return number_of(node_); }
  Field::Value operator()(const std::string&) const {
    const std::vector<std::string>& words = field_.words;
    const auto read = node_.value_exact<std::string>();
    if (!read) refuse(words.empty() ? "text in quotes" : "one of " + joined(words));
    if (!words.empty() && std::ranges::find(words, *read) == words.end()) refuse("one of " + joined(words));
    return *read;
  }
  Field::Value operator()(const std::vector<std::string>&) const {
    constexpr const char* kExpected = "a list of texts in quotes";
    return each<std::string>(kExpected, [&](const toml::node& element) {
      const auto read = element.value_exact<std::string>();
      if (!read) refuse(kExpected);
      return *read;
    });
  }
  Field::Value operator()(const std::vector<std::int64_t>&) const {
    return each<std::int64_t>("a list of integers", [&](const toml::node& element) { return integer_of(element); });
  }
  Field::Value operator()(const std::vector<double>&) const {
    return each<double>("a list of numbers", [&](const toml::node& element) { return number_of(element); });
  }

 private:
  [[noreturn]] void refuse(const std::string& expected) const {
    fail(source_, ": ", field_.key, " = ", shown(node_), " is not allowed; expected ", expected);
  }
  std::int64_t integer_of(const toml::node& node) const {
    const auto read = node.value_exact<std::int64_t>();
    if (!read || static_cast<double>(*read) < field_.range.low || static_cast<double>(*read) > field_.range.high)
      refuse("an integer " + describe(field_.range));
    return *read;
  }
  double number_of(const toml::node& node) const {
    const auto read = node.is_number() ? node.value<double>() : std::nullopt;
    if (!read || !(*read >= field_.range.low && *read <= field_.range.high))
      refuse("a number " + describe(field_.range));
    return *read;
  }
  template <class Value, class Read>
  std::vector<Value> each(const char* expected, const Read& read) const {
    const toml::array* array = node_.as_array();
    if (array == nullptr) refuse(expected);
    std::vector<Value> out;
    for (const toml::node& element : *array) out.push_back(read(element));
    return out;
  }

  const Field& field_;
  const toml::node& node_;
  const std::string& source_;
};

// Last words of keys in other tools and earlier versions, and the corresponding keys here.
constexpr std::pair<const char*, const char*> kSynonyms[] = {
    {"deviation", "std"},
    {"crop_fraction", "crop_pct"},
    {"logits_form", "logits_encoding"},
    {"features_form", "features_encoding"},
    {"attention_form", "attention_encoding"},
    {"average", "ema"},
    {"learning_rate", "lr"},
    {"min_lr", "lr_end"},
    {"warmup_epochs", "warm_up_epochs"},
    {"batch_size", "batch"},
    {"bs", "batch"},
    {"num_workers", "workers"},
    {"jobs", "workers"},
    {"img_size", "image_size"},
    {"img_size", "size"},
    {"input_size", "image_size"},
    {"input_size", "size"},
    {"image_size", "size"},
    {"resolution", "image_size"},
    {"resolution", "size"},
    {"data", "images"},
    {"data_dir", "images"},
    {"dataset", "images"},
    {"train_dir", "images"},
    {"val", "validation"},
    {"val_dir", "validation"},
    {"out", "output"},
    {"output_dir", "output"},
    {"wd", "weight_decay"},
    {"dtype", "precision"},
    {"amp", "precision"},
    {"tau", "temperature"},
    {"num_classes", "classes"},
    {"n_classes", "classes"},
    {"pretrained", "weights"},
    {"checkpoint", "weights"},
    {"initial_checkpoint", "weights"},
    {"patch_size", "patch"},
    {"embed_dim", "dim"},
    {"num_heads", "heads"},
    {"mixup", "mixup_alpha"},
    {"cutmix", "cutmix_alpha"},
    {"smoothing", "label_smoothing"},
    {"hflip", "flip"},
    {"ema_decay", "ema.decay"},
};

std::string last_word(const std::string& key) {
  const std::size_t point = key.rfind('.');
  return point == std::string::npos ? key : key.substr(point + 1);
}

bool ends_in(const std::string& key, const std::string& words) {
  return key == words || key.ends_with("." + words);
}

// Keys that an unknown key may stand for, at most kMaxSuggestions.
std::vector<std::string> suggestions(const std::string& name, const Fields& fields) {
  constexpr std::size_t kMaxSuggestions = 4;
  const std::string section = name.substr(0, name.size() - last_word(name).size());
  std::vector<std::string> all, meant;
  for (const Field& field : fields.all()) all.push_back(field.key);
  const auto add = [&](const std::string& words) {
    for (const std::string& key : all)
      if (ends_in(key, words) && std::ranges::find(meant, key) == meant.end()) meant.push_back(key);
  };
  add(last_word(name));
  for (const auto& [other, ours] : kSynonyms)
    if (last_word(name) == other) {
      if (fields.find(section + ours) != nullptr) return {section + ours};
      add(ours);
    }
  if (meant.empty() || meant.size() > kMaxSuggestions) {
    const std::string near = nearest_word(name, all);
    if (!near.empty() && meant.empty()) return {near};
  }
  // If there are too many, prefer the outermost sections.
  std::ranges::stable_sort(meant, {}, [](const std::string& key) { return std::ranges::count(key, '.'); });
  meant.resize(std::min(meant.size(), kMaxSuggestions));
  return meant;
}

// Called before the value of an override is parsed: a mistyped key is the likelier mistake.
const Field& known_field(const std::string& name, const std::string& source, const Fields& fields) {
  if (const Field* field = fields.find(name)) return *field;
  const std::vector<std::string> meant = suggestions(name, fields);
  std::string words = meant.empty() ? "--help-keys lists all" : "did you mean ";
  for (std::size_t i = 0; i < meant.size(); ++i)
    words += (i == 0 ? "" : i + 1 < meant.size() ? ", " : " or ") + meant[i];
  fail(source, ": unknown key ", name, "; ", words, meant.empty() ? "" : "?");
}

// Checks all keys of the table before any field is set.
void check_keys(const toml::table& table, const std::string& prefix, const std::string& source, const Fields& fields) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (!known_field(name, source, fields).is_section()) continue;
    if (!node.is_table())
      fail(source, ": ", name, " = ", shown(node), " is not allowed; ", name, " is a section with keys of its own");
    check_keys(*node.as_table(), name + ".", source, fields);
  }
}

void read_into(const toml::table& table, const std::string& source, const Fields& fields) {
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
    toml::table table;
    const std::string content = read_file(file);
    try {
      table = toml::parse(content, file.string());
    } catch (const toml::parse_error& error) {
      fail(file.string(), ", line ", error.source().begin.line, ": not valid TOML: ", error.description());
    }
    read_into(table, file.string(), fields);
  }
  for (const std::string& override_text : overrides) {
    const std::string source = "--set " + override_text;
    const std::size_t equals = override_text.find('=');
    if (equals == std::string::npos || equals == 0) fail(source, ": expected key=value, for instance train.seed=3");
    const std::string key = override_text.substr(0, equals), value = override_text.substr(equals + 1);
    const Field& field = known_field(key, source, fields);
    const bool bare = field.is_text() && (value.empty() || (value[0] != '"' && value[0] != '\''));
    toml::table table;
    try {
      table = toml::parse(key + " = " + (bare ? toml_text(value) : value));
    } catch (const toml::parse_error& error) {
      fail(source, ": the value is not valid TOML: ", error.description());
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
    return word.empty() || lower(field.key + " " + field.help).find(lower(word)) != std::string::npos;
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
