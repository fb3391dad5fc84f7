// From the keys of [teacher] to a network: reads weights or a module and what is beside them, and fills in the keys
// that are not set.
#ifndef VITRINE_COMMON_TEACHER_OPEN_TEACHER_H_
#define VITRINE_COMMON_TEACHER_OPEN_TEACHER_H_

#include <c10/core/Device.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/plan/image_index.h"
#include "common/teacher/network.h"
#include "common/teacher/teacher_options.h"

namespace vitrine {

struct OpenedTeacher {
  std::unique_ptr<const TeacherNetwork> network;
  TeacherOptions options;      ///< the given ones, with every empty one filled in
  std::string weights_sha256;  ///< teacher_sha256()
  /// TeacherRecord::resampled_from
  std::optional<WeightsSize> resampled_from;
  /// Whether mean and std are what config.json, a module or the weights' metadata says.
  bool normalisation_recorded = false;
  std::vector<std::string> classes;  ///< names of the head's classes, one for each; empty: not known
  std::optional<Decoding> decoding;  ///< of the pictures that it was trained on, of weights of vitrine-train
  std::vector<std::string> notes;    ///< for the user: what was assumed, renamed, left unused, or disagrees
};

/// The hash that identifies a teacher in its tracks: of its weights or module; with zero-shot classes of both files'
/// hashes one after the other. Throws Error for a file that cannot be read.
std::string teacher_sha256(const std::string& file, const std::string& zero_shot);

/// The name of a teacher that has no other: its file's without the ending, its folder's with or without a slash behind;
/// of weights of vitrine-train, that of their run's directory.
std::string teacher_file_name(const std::string& file);

/// A key that is set wins over metadata that vitrine-train wrote into the weight file, that over config.json, that over
/// the architecture's table, that over the tensors; a later source that disagrees is noted. Class names are those of
/// config.json, else of the metadata, where they are as many as the head's classes. Throws Error if neither or
/// both of weights and module are given, for a module without allow_module, and for weights that do not fit.
OpenedTeacher open_teacher(const TeacherOptions& options, c10::Device device);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_OPEN_TEACHER_H_
