#include "tools/commands/export/version.h"

namespace vitrine {

std::string vitrine_version() {
  return VITRINE_VERSION;
}

}  // namespace vitrine
