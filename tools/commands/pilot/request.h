// What a user asks of `vitrine pilot`, and how it is recorded beside the results.
#ifndef VITRINE_TOOLS_COMMANDS_PILOT_REQUEST_H_
#define VITRINE_TOOLS_COMMANDS_PILOT_REQUEST_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "extract/options.h"
#include "tools/commands/vitrine/request_record.h"
#include "train/run/options.h"

namespace vitrine {

struct PilotRequest {
  std::vector<std::string> configs;    ///< vitrine-extract's TOML files, one per teacher
  std::vector<std::string> overrides;  ///< key=value, of vitrine-train's configuration
  std::string out = "pilot";           ///< directory of pictures, caches, students and ranking
  std::string arch = "resnet18";
  std::uint32_t width = 32;                        ///< ModelOptions::width
  std::uint32_t groups = 32;                       ///< of pictures that teach, of the configurations' largest group
  std::uint32_t passes = 4;                        ///< over these pictures
  std::uint32_t held_out = 1000;                   ///< pictures that score teachers and students
  double epochs = 20;                              ///< of a student's joint phase
  std::uint64_t seed = 0;                          ///< of the pictures' choice, and of the students
  bool allow_module = false, allow_mixed = false;  ///< passed on; they permit and set nothing
  bool keep = false;                               ///< caches stay when their students are scored
};

struct PilotTeacher {
  std::string name;        ///< the configuration's file name without ".toml": its folder below PilotRequest::out
  std::string config;      ///< as given
  ExtractOptions options;  ///< of that file; paths are absolute
  /// Of its student: the smallest of all teachers' groups if it divides the others, so that students differ by their
  /// teachers alone; else the teacher's own group.
  std::uint32_t batch = 0;
};

/// Reads the configurations. Throws Error for one that is not vitrine-extract's, that names no teacher or no labelled
/// images, or whose teacher is missing; for two of one file name, and of different images.
std::vector<PilotTeacher> teachers_of(const PilotRequest& request);

/// Where the pictures of both kinds are linked, below PilotRequest::out.
std::filesystem::path teaching_folder(const PilotRequest& request);
std::filesystem::path held_out_folder(const PilotRequest& request);

/// The configuration of the teacher's trial: a cache of the pictures that teach.
ExtractOptions extract_options(const PilotRequest& request, const PilotTeacher& teacher);
/// That of its student, which is validated on the held-out pictures, but for the tracks that it learns from. Throws
/// Error for overrides that are not keys, or that the pilot itself sets.
TrainOptions train_options(const PilotRequest& request, const PilotTeacher& teacher);

/// For the directory of the results.
RequestRecord record_of(const PilotRequest& request, const std::vector<PilotTeacher>& teachers);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_PILOT_REQUEST_H_
