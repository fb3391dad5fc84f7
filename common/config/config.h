// Reads an options struct from a TOML file and `--set key=value` overrides, and prints it as text.
//
// Errors name the file and its line (or `--set`), the key, the value and what was expected; for what is not TOML with
// an example that works for the key. For an unknown key they suggest keys with the same last word, keys that other
// tools call by that name, or the nearest spelling.
#ifndef VITRINE_COMMON_CONFIG_CONFIG_H_
#define VITRINE_COMMON_CONFIG_CONFIG_H_

#include <filesystem>
#include <string>
#include <vector>

#include "common/config/fields.h"

namespace vitrine {

namespace config_internal {
void load(const std::filesystem::path& file, const std::vector<std::string>& overrides, const Fields& fields);
std::string as_toml(const Fields& fields);
std::string changes(const Fields& fields, const Fields& defaults);
std::string help(const Fields& fields, const std::vector<std::string>& first, const std::string& word);
}  // namespace config_internal

/// Fills `options` from a TOML file (an empty path means defaults only), then from overrides of the form "a.b=value".
/// The value is TOML ("3", "[1, 2]", "true"); text may be unquoted. Keys that are not given keep their values.
template <class Options>
void load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides, Options& options) {
  config_internal::load(file, overrides, fields_of(options));
}

/// The whole struct as TOML, each key once. Reading it back gives the same struct.
template <class Options>
std::string config_as_toml(Options options) {
  return config_internal::as_toml(fields_of(options));
}

/// The keys whose values differ from those of `defaults`, as config_as_toml() writes them; empty if none does.
template <class Options>
std::string config_changes(Options options, Options defaults = Options()) {
  return config_internal::changes(fields_of(options), fields_of(defaults));
}

/// A table of keys, defaults, ranges and meanings for `--help-keys`, grouped by section. `first`: common keys, listed
/// in their own group at the top. `word`: show only keys whose name or meaning contains it, ignoring case, or that
/// other tools call by it. Throws Error if no key does.
template <class Options>
std::string config_help(Options defaults = Options(),  // not {}: g++ 12 warns of uninitialised members
                        const std::vector<std::string>& first = {}, const std::string& word = {}) {
  return config_internal::help(fields_of(defaults), first, word);
}

/// The entry of `known` with the smallest edit distance to `word`; empty if none is close (over half of the letters
/// differ).
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);

/// The shortest TOML number that reads back as the same double: "0.9", "1.0", "1e-300".
std::string toml_number(double value);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CONFIG_CONFIG_H_
