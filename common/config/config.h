// From a TOML file and `--set key=value` overrides to an options struct, and back to text.
//
// Errors name the file (or `--set`), the key, the value and what was expected; an unknown key is refused with those
// that may be meant: of the same last word, of the same meaning in other tools, or the nearest in spelling.
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
std::string help(const Fields& fields, const std::vector<std::string>& first, const std::string& word);
}  // namespace config_internal

/// Fills `options` from a TOML file (an empty path means defaults only), then from overrides of the form "a.b=value",
/// where the value is TOML ("3", "[1, 2]", "true") or, for text, may stand without quotes. Keys that are not given keep
/// their values.
template <class Options>
void load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides, Options& options) {
  config_internal::load(file, overrides, fields_of(options));
}

/// The whole struct as TOML, each key once: what a run prints at its start. Reading it back gives the same struct.
template <class Options>
std::string config_as_toml(Options options) {
  return config_internal::as_toml(fields_of(options));
}

/// A table of keys, defaults, ranges and meanings for `--help-keys`, a group per section. `first`: keys that most
/// people set, which stand in a group of their own at the top. `word`: only keys whose name or meaning contains it,
/// whatever the case. Throws Error when no key does.
template <class Options>
std::string config_help(Options defaults = Options(),  // not {}: g++ 12 takes what that leaves for uninitialised
                        const std::vector<std::string>& first = {}, const std::string& word = {}) {
  return config_internal::help(fields_of(defaults), first, word);
}

/// The word of `known` with the smallest edit distance to `word`; empty when none is near (over half of the letters
/// differ).
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CONFIG_CONFIG_H_
