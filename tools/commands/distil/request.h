// What a user asks of `vitrine distil`, and how it is recorded in the run.
#ifndef VITRINE_TOOLS_COMMANDS_DISTIL_REQUEST_H_
#define VITRINE_TOOLS_COMMANDS_DISTIL_REQUEST_H_

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/commands/vitrine/request_record.h"

namespace vitrine {

struct DistilRequest {
  std::string photos;            ///< a folder of class folders; without labels any folder
  std::string unlabelled;        ///< further photos without labels; empty: none
  std::string validation, test;  ///< folders of class folders; empty: validation is held out of photos, no test
  std::string teacher;           ///< a weight file, or a folder with weights and config.json; or a module
  bool allow_module = false;     ///< teacher is a module, whose code may run
  /// Passed on to vitrine-extract. They permit and set nothing: json(), which tells requests apart, omits them.
  bool allow_chance = false, allow_empty = false, allow_mixed = false;
  std::string student = "resnet50";         ///< an architecture
  std::string student_weights;              ///< trained weights that the student begins with; empty: random
  std::string out;                          ///< the run's directory
  std::string cache;                        ///< the cache's directory; empty: OUT/cache
  std::string device = "cpu";               ///< of teacher and student
  std::string exif_orientation = "ignore";  ///< or "apply"; as the key of vitrine-extract
  double hours = 0;                         ///< how long all may take; 0: as long as it takes
  std::uint32_t passes = 0, epochs = 0, size = 0, batch = 0;  ///< instead of what the rules choose; 0: as they choose
  std::uint64_t seed = 0;
  bool no_labels = false;
  bool baseline = false;  ///< also train the same network from labels alone, for as long
  bool labels() const { return !no_labels; }
  std::string cache_directory() const;

  /// TeacherOptions' key that `teacher` is the value of.
  const char* teacher_key() const { return allow_module ? "module" : "weights"; }

  /// What the run depends on; paths are absolute, so that it does not matter how they were typed.
  nlohmann::ordered_json json() const;
};

/// For the run's directory.
RequestRecord record_of(const DistilRequest& request);

/// Throws Error for a request that cannot be: nothing to learn from, paths that are missing or in each other's way.
/// Writes nothing.
void check_request(const DistilRequest& request);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_DISTIL_REQUEST_H_
