// What last.json and summary.json have in common. Both are read as untrusted: values that cannot be are damage.
#ifndef VITRINE_TRAIN_RUN_RUN_JSON_H_
#define VITRINE_TRAIN_RUN_RUN_JSON_H_

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/base/json_fields.h"
#include "train/run/provenance.h"

namespace vitrine {

inline constexpr double kMaxRunSeconds = 1e12;

/// Calls `read` with the fields of the JSON file `path`. Throws Error: its kCorrupt errors, and that of a text that is
/// no JSON object, begin with "PATH: is not a `what` of vitrine-train, or is damaged (KEY ...)".
void read_run_json(const std::filesystem::path& path, const std::string& what, const std::string& remedy,
                   const std::function<void(const JsonFields&)>& read);

/// The list "allowed"; empty where there is none. Throws Error, kCorrupt.
std::vector<AllowedDifference> allowed_differences(const JsonFields& in);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_RUN_JSON_H_
