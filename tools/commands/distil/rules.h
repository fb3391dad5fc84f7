// The rules by which `vitrine distil` chooses settings: pure functions of what was found, each with a reason in words.
// README.md of this folder has them as a table, with what they were measured on.
#ifndef VITRINE_TOOLS_COMMANDS_DISTIL_RULES_H_
#define VITRINE_TOOLS_COMMANDS_DISTIL_RULES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vitrine {

/// What the rules look at.
struct DistilFacts {
  std::uint64_t images = 0;          ///< that teach: without those held out
  std::uint64_t labelled = 0;        ///< of these
  std::uint32_t teacher_size = 224;  ///< side of the teacher's input, in pixels
  bool teacher_fits = true;          ///< its classes are the student's, so that its logits teach
  bool has_attention = true;         ///< of its last block
  bool begins_trained = false;       ///< the student begins with trained weights
  bool gpu = false;
  std::uint32_t module_batch = 0;  ///< views per forward of a teacher that is a module; 0: weights
  /// Seconds per view on the whole machine: making the cache (picture, teacher, encoding); the student's picture and
  /// targets; its forward and backward at teacher_size.
  double extract_seconds = 0, data_seconds = 0, step_seconds = 0;
  double once_seconds = 0;                  ///< index, check of the teacher, calibration
  double view_bytes = 0;                    ///< of the cache, per view and pass
  double weight_bytes = 0;                  ///< of the student
  std::optional<std::uint64_t> free_bytes;  ///< on the cache's disk; unset: not known
  /// On the disk of the run's directory; unset: not known, or it is the cache's.
  std::optional<std::uint64_t> run_free_bytes;
  bool one_disk = true;  ///< the run's directory is on the cache's disk
};

/// What the user fixed; 0: the rules choose.
struct DistilFixed {
  std::uint32_t passes = 0, epochs = 0, size = 0, batch = 0;
  double hours = 0;
  bool baseline = false;  ///< the same network is trained from labels alone, too
};

struct DistilChoice {
  std::uint32_t passes = 0, size = 0, batch = 0, group = 0;
  double align_epochs = 0, joint_epochs = 0, fine_tune_epochs = 0;
  double lr = 0, fine_tune_lr = 0, weight_decay = 0, warm_up_epochs = 0;
  double max_error = 0, mix_probability = 0, min_area = 0;
  double seconds = 0;  ///< of everything
  double cache_bytes = 0;
  double run_bytes = 0;  ///< of checkpoints and exported weights, the baseline's too
  double epochs() const { return align_epochs + joint_epochs + fine_tune_epochs; }
  struct Reason {
    std::string what, value, why;
  };
  std::vector<Reason> reasons;  ///< one per choice, for people
};

/// The share of each class that is held out where no validation folder is given. `classes`: the photos of each, as
/// hold_out.h groups them. Larger where so many classes are small that rounding would hold out less than half of it. 0:
/// none can be held out, as no class has two photos.
double hold_out_share(std::span<const std::uint64_t> classes);
/// Views stored together, as suits the number of images: forwards of a module are whole.
std::uint32_t group_size(std::uint64_t images, std::uint32_t module_batch);
/// The features' error bound.
double feature_error();

/// Throws Error if the time or the disk is not enough for the least that is worth training, and for a batch that no
/// training can have, with what would be.
DistilChoice choose_settings(const DistilFacts& facts, const DistilFixed& fixed);
/// What the baseline has of its own.
struct BaselineChoice {
  double epochs = 0;  ///< as many as take as long as cache and student
  /// The student's, but at most a pass over the labelled photos, and the learning rate for it.
  std::uint32_t batch = 0;
  double lr = 0;
};
/// It can be added to a run later, so that the student's settings do not depend on it, except where the hours are
/// given.
BaselineChoice choose_baseline(const DistilFacts& facts, const DistilChoice& choice);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_DISTIL_RULES_H_
