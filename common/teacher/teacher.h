// The teacher shared by extraction, live targets and verification: a network with frozen weights, its taps, its
// micro-batches and the tracks made of its outputs.
#ifndef VITRINE_COMMON_TEACHER_TEACHER_H_
#define VITRINE_COMMON_TEACHER_TEACHER_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "common/cache/track.h"
#include "common/image/transform.h"
#include "common/models/precision.h"
#include "common/plan/plan.h"
#include "common/teacher/network.h"
#include "common/teacher/teacher_options.h"

namespace vitrine {

class Teacher {
 public:
  /// Loads and checks the weights. Throws Error for weights that do not fit, a block that does not exist, an unknown
  /// encoding, and a module without `allow_module`. Notes what was assumed or is surprising.
  Teacher(const TeacherOptions& options, const TapOptions& taps);
  ~Teacher();

  /// With everything filled in: name, mean, std, crop_pct, crop_mode, interpolation, license.
  const TeacherOptions& options() const { return options_; }
  Normalisation normalisation() const { return {options_.mean, options_.stddev}; }
  /// Whether that is what config.json, a module or the weights' metadata says.
  bool normalisation_recorded() const { return normalisation_recorded_; }
  const NetworkShape& shape() const { return network_->shape(); }
  int image_size() const { return static_cast<int>(shape().image_size); }
  /// 0: it has no head.
  int classes() const { return static_cast<int>(shape().classes); }
  /// Names of the head's classes, in its order; empty: not known.
  const std::vector<std::string>& class_names() const { return class_names_; }
  /// How the pictures that it was trained on were decoded; nullopt: not known.
  const std::optional<Decoding>& decoding() const { return decoding_; }
  /// How a clean crop is made.
  CleanCrop clean_crop() const;
  /// About how many bytes a micro-batch's forward takes in addition to the weights.
  double forward_bytes() const { return network_->forward_bytes(options_.micro_batch); }
  /// One per tap: logits, embedding, then features, then attention, in the order of the blocks given. With the
  /// transform encoding a track's basis is still missing; see calibrate.h.
  std::vector<TrackInfo> tracks(const Plan& plan) const;
  /// The same without a plan: plan_hash and class_list_sha256 are not set.
  std::vector<TrackInfo> outputs() const;

  /// pictures: uint8 [views, S, S, 3]. Returns raw FP32 values, one vector per track, [views, shape...]. `views` must
  /// be a multiple of options().micro_batch, the exact size of each forward pass. Thread-safe; on a CPU calls run in
  /// parallel and each needs at::set_num_threads(1), else results depend on the number of threads. Throws Error if an
  /// output is not finite (naming view and track), if memory runs out (kMemory) and if the GPU fails (kIo); Stopped
  /// between two micro-batches once `stop` is set.
  std::vector<std::vector<float>> run(std::span<const std::uint8_t> pictures, std::uint32_t views,
                                      const StopFlag& stop = never_stop()) const;
  /// Logits of any number of views (the last micro-batch is padded): [views, classes]. Same errors; needs a head.
  /// `normalisation`: replaces that of the options, unless null.
  std::vector<float> logits(std::span<const std::uint8_t> pictures, std::uint32_t views,
                            const Normalisation* normalisation = nullptr) const;

 private:
  /// A target that is kept: the track's kind, its block (-1: none) and its values' shape.
  struct Tap {
    const char* kind;
    std::int64_t block;
    std::vector<std::uint32_t> shape;

    std::size_t values() const;
    std::string words() const;  ///< for messages: "features of block 3"
  };

  void choose_taps();
  TrackInfo track_of(const Tap& tap, const TrackInfo& base) const;
  TeacherOutputs forward(std::span<const std::uint8_t> pictures, std::uint32_t views, const TeacherTaps& taps,
                         const Normalisation& normalisation) const;
  /// run() and logits() without conversion of LibTorch's errors.
  std::vector<std::vector<float>> compute(std::span<const std::uint8_t> pictures, std::uint32_t views,
                                          const StopFlag& stop) const;
  std::vector<float> compute_logits(std::span<const std::uint8_t> pictures, std::uint32_t views,
                                    const Normalisation& normalisation) const;
  /// The heads to keep of one block's [N, heads, H, W], or their mean [N, 1, H, W].
  at::Tensor kept_heads(const at::Tensor& attention) const;

  TeacherOptions options_;
  TapOptions tap_options_;
  TeacherTaps network_taps_;
  std::vector<Tap> taps_;  // in the order of the tracks
  std::string weights_sha256_;
  std::optional<WeightsSize> resampled_from_;
  bool normalisation_recorded_ = false;
  std::vector<std::string> class_names_;
  std::optional<Decoding> decoding_;
  c10::Device device_;
  PrecisionScope precision_;
  ComputeRecord made_with_;
  std::unique_ptr<const TeacherNetwork> network_;
  mutable std::mutex gpu_;  // serialises the use of a GPU
};

/// Encodes and decodes a group's values, giving exactly what would be read back from a cache.
void through_codec(const Codec& codec, std::uint32_t views, std::vector<float>& raw);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_TEACHER_H_
