// What verify checks of prepared.json. Private to this room.
#ifndef VITRINE_TOOLS_INSPECT_VERIFY_PREPARATION_H_
#define VITRINE_TOOLS_INSPECT_VERIFY_PREPARATION_H_

#include <filesystem>
#include <string>
#include <vector>

#include "common/cache/cache.h"
#include "common/cache/preparation.h"
#include "tools/inspect/verify_files.h"

namespace vitrine {

/// The preparation, if it can be used. Findings: it is damaged, of another plan (kMove), of a newer version or
/// unreadable; it asks for passes that the plan cannot have; or it is missing in a cache that an extraction prepared,
/// as its index_record.json says. `cache`: nullptr if it cannot be opened; then the text alone is checked.
std::optional<Preparation> check_preparation(const std::filesystem::path& directory, const Cache* cache,
                                             Findings& findings);

/// The passes that a directory, "recipes" or "TEACHER.xxxxxxxx/TRACK", is to have; of recipes those of all tracks.
std::vector<PassRange> prepared_passes(const Preparation& preparation, const std::string& directory);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_VERIFY_PREPARATION_H_
