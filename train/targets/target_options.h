// The keys of [targets], and the settings that a source of targets is made from.
#ifndef VITRINE_TRAIN_TARGETS_TARGET_OPTIONS_H_
#define VITRINE_TRAIN_TARGETS_TARGET_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/config/fields.h"
#include "common/image/folders.h"
#include "common/plan/plan.h"
#include "common/teacher/class_map.h"
#include "common/teacher/teacher.h"

namespace vitrine {

enum class TargetKind { kNone, kCache, kTeacher };

struct TargetOptions {
  TargetKind source = TargetKind::kNone;
  std::string cache;  ///< directory, for "cache"
  /// Which teacher of the cache, if it has several; several with commas teach together.
  std::string cache_teacher;
  std::vector<double> teacher_shares;  ///< weight of each of several teachers' probabilities; empty: equal
  std::string features;                ///< tracks of the feature term ("features.5, features.11"); empty: none
  std::string attention;               ///< track for attention transfer; empty: none
  bool embedding = false;              ///< the student's pooled feature learns the teacher's embedding
  bool through_codec = true;           ///< "teacher": encode and decode targets as a cache would
  /// "teacher" and "none": number of passes that epochs cycle through; 0: a new pass per epoch
  std::uint32_t passes = 0;
  std::uint32_t check_images = 256;    ///< "teacher": clean crops on which it is checked first; 0: no check
  std::string class_map, class_names;  ///< files for a teacher of other classes (class_map.h); empty: none
  TeacherOptions teacher;              ///< for "teacher"
  TapOptions taps;                     ///< for "teacher": as in vitrine-extract

  void fields(Fields& f);
  ClassMapFiles class_map_files() const { return {class_map, class_names}; }
};

/// The part of the run's options that make_source() takes.
struct SourceSettings {
  TargetOptions targets;
  PlanOptions plan;           ///< ignored with a cache, which has its own
  ImageFolders folders;       ///< of the training images
  double epochs = 1;          ///< of the whole run; rounded up, the number of passes if targets.passes is 0
  double temperature = 4;     ///< of the loss; a topk track's tail must have it
  std::uint32_t workers = 0;  ///< threads that calibrate a live teacher's tracks; 0: default_threads()
  /// A live teacher is checked (common/teacher/teacher_check.h) where this is set, and it is called with what the check
  /// objects; it throws where that is to end the run.
  std::function<void(const std::string&)> on_failed_check = {};
};

/// Splits TargetOptions::cache_teacher at commas; one empty name if it is empty. Throws Error for a teacher named twice
/// and for teacher_shares that do not match.
std::vector<std::string> cache_teachers(const TargetOptions& options);

/// Splits TargetOptions::features at commas. Throws Error for a track named twice.
std::vector<std::string> feature_tracks(const std::string& features);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_TARGET_OPTIONS_H_
