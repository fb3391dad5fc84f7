// A configuration as a list of keys and values, whatever the keys: another version may have other ones.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_CONFIGURATION_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_CONFIGURATION_H_

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace vitrine {

/// Keys with their sections ("schedule.joint.lr"), in the order of the file, and values as TOML writes them, but texts
/// without quotes.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// Throws Error when the file cannot be read or is no TOML.
Settings read_settings(const std::filesystem::path& path);

/// The value of a key; empty if there is none.
std::string setting_of(const Settings& settings, const std::string& key);

/// A key that does not have the same value everywhere; "" where it is absent.
struct DifferingSetting {
  std::string key;
  std::vector<std::string> values;  ///< one for each of the settings compared
};

/// In the order of the keys, the first settings' first. Keys in `ignored` are left out.
std::vector<DifferingSetting> differing_settings(const std::vector<const Settings*>& all,
                                                 const std::vector<std::string>& ignored);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_CONFIGURATION_H_
