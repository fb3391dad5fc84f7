#include "tools/commands/report/configuration.h"

#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/config/config.h"

namespace vitrine {
namespace {

struct Entry {
  std::string key, value;
  toml::source_position at;
};

// A text by itself has no quotes.
std::string value_text(const toml::node& node, bool in_list = false) {
  if (const auto* words = node.as_string(); words != nullptr && !in_list) return words->get();
  if (const auto* number = node.as_floating_point()) return toml_number(number->get());
  std::ostringstream out;
  if (const toml::array* list = node.as_array()) {
    for (const toml::node& element : *list)
      out << (&element == &list->front() ? "[ " : ", ") << value_text(element, true);
    out << (list->empty() ? "[]" : " ]");
  } else {
    node.visit([&](const auto& concrete) { out << concrete; });
  }
  return out.str();
}

void flatten(const toml::table& table, const std::string& above, std::vector<Entry>& out) {
  for (const auto& [key, node] : table) {
    const std::string name = above + std::string(key.str());
    if (const auto* inner = node.as_table())
      flatten(*inner, name + ".", out);
    else
      out.push_back({name, value_text(node), node.source().begin});
  }
}

}  // namespace

Settings read_settings(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  std::vector<Entry> entries;
  try {
    flatten(toml::parse(content, path.string()), {}, entries);
  } catch (const toml::parse_error& error) {
    throw Error(ErrorKind::kCorrupt, {.path = path.string(),
                                      .what = text("line ", error.source().begin.line, " is not TOML"),
                                      .remedy = "restore the file"});
  }
  // toml++ sorts by name.
  std::ranges::stable_sort(entries, [](const Entry& a, const Entry& b) {
    return a.at.line != b.at.line ? a.at.line < b.at.line : a.at.column < b.at.column;
  });
  Settings out;
  for (Entry& entry : entries) out.emplace_back(std::move(entry.key), std::move(entry.value));
  return out;
}

std::string setting_of(const Settings& settings, const std::string& key) {
  const auto found = std::ranges::find(settings, key, [](const auto& entry) { return entry.first; });
  return found == settings.end() ? "" : found->second;
}

std::vector<DifferingSetting> differing_settings(const std::vector<const Settings*>& all,
                                                 const std::vector<std::string>& ignored) {
  std::vector<std::string> keys;
  std::set<std::string> seen(ignored.begin(), ignored.end());
  std::vector<std::map<std::string, std::string>> values;
  for (const Settings* settings : all) {
    values.emplace_back(settings->begin(), settings->end());
    for (const auto& [key, value] : *settings)
      if (seen.insert(key).second) keys.push_back(key);
  }
  std::vector<DifferingSetting> out;
  for (const std::string& key : keys) {
    DifferingSetting one{key, {}};
    bool differs = false;
    for (const auto& own : values) {
      const auto found = own.find(key);
      one.values.push_back(found == own.end() ? "" : found->second);
      differs = differs || own.contains(key) != values[0].contains(key) || one.values.back() != one.values[0];
    }
    if (differs) out.push_back(std::move(one));
  }
  return out;
}

}  // namespace vitrine
