// The version of this program, for the files that it writes.
#ifndef VITRINE_TOOLS_COMMANDS_EXPORT_VERSION_H_
#define VITRINE_TOOLS_COMMANDS_EXPORT_VERSION_H_

#include <string>

namespace vitrine {

/// "0.1.0".
std::string vitrine_version();

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_EXPORT_VERSION_H_
