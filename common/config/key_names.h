// Which key is meant: other tools' and earlier versions' names of it, and slips of the pen. Internal to this room;
// thread-safe.
#ifndef VITRINE_COMMON_CONFIG_KEY_NAMES_H_
#define VITRINE_COMMON_CONFIG_KEY_NAMES_H_

#include <string>

#include "common/config/fields.h"

namespace vitrine::config_internal {

/// "lr" of "schedule.joint.lr".
std::string last_word(const std::string& key);

/// Whether another tool, or an earlier version, calls the key by `word`: "warmup" for "joint.warm_up_epochs".
bool is_also_called(const std::string& key, const std::string& word);

/// The field of that key. Throws Error at `where`, with the keys that may be meant.
const Field& known_field(const std::string& key, const std::string& where, const Fields& fields);

}  // namespace vitrine::config_internal

#endif  // VITRINE_COMMON_CONFIG_KEY_NAMES_H_
