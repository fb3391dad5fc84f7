// All keys of vitrine-train's configuration. Rooms below do not use TrainOptions: each has its own small struct,
// which a function here makes from it, so that a change to one room's options does not recompile another.
#ifndef VITRINE_TRAIN_RUN_OPTIONS_H_
#define VITRINE_TRAIN_RUN_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config/fields.h"
#include "common/image/augment.h"
#include "common/image/bad_pictures.h"
#include "common/image/folders.h"
#include "common/image/scan.h"
#include "common/plan/image_index.h"
#include "common/plan/plan.h"
#include "train/data/batches.h"
#include "train/data/training_images.h"
#include "train/evaluation/evaluate.h"
#include "train/losses/terms.h"
#include "train/matching/feature_transformer.h"
#include "train/matching/objective.h"
#include "train/optim/grad_scaler.h"
#include "train/optim/optimizer.h"
#include "train/optim/schedule.h"
#include "common/models/model_options.h"
#include "train/student/student.h"
#include "train/student/weight_ema.h"
#include "train/targets/target_options.h"

namespace vitrine {

/// The criterion for the best checkpoint.
enum class Select {
  kAuto,       ///< kTop1 with labels; without labels kAgreement if targets.teacher has weights, else kLast
  kTop1,       ///< top-1 on the validation images, which need class folders
  kAgreement,  ///< top-1 agreement with the teacher on the validation images (train/evaluation/agreement.h)
  kLast        ///< no selection: only the last weights are kept
};

struct TrainOptions {
  std::string images;      ///< training images, a folder of class folders; with a cache: the one it was made from
  std::string unlabelled;  ///< additional training images without labels; empty: none
  Labels labels = Labels::kFolders;
  /// Share of `images` that does not teach (common/image/hold_out.h), and validates when `validation` is empty.
  double hold_out = 0;
  std::string validation;  ///< evaluated every eval_every epochs to select the best checkpoint; empty: none
  Select select = Select::kAuto;
  std::string test;                      ///< for one evaluation at the end; empty: none
  std::string output;                    ///< directory of the run (run_files.h); an existing run is resumed
  std::uint32_t size = 0;                ///< side of the student's input in pixels; 0: the teacher's
  std::uint32_t batch = 64;              ///< views per step
  std::uint32_t micro_batch = 0;         ///< views per forward; gradients accumulate over the batch; 0: the whole batch
  std::uint32_t lr_batch = 0;            ///< learning rates are scaled by batch / lr_batch; 0: not scaled
  std::uint32_t batch_norm_batches = 0;  ///< batches for re-estimating BatchNorm's statistics at the end; 0: off
  VerifyImages verify_images = VerifyImages::kSample;  ///< with a cache: how many images are compared with its index
  IndexDepth index_depth = IndexDepth::kHeaders;       ///< without a cache: how much of each file the scan reads
  BadImages bad_images = BadImages::kStop;             ///< when a picture of the index cannot be read
  double max_bad_share = 0.01;                         ///< of the images that may be skipped
  Decoding decoding;  ///< of every picture; with a cache: unset, or equal to the cache's
  std::string allow;  ///< accepted differences (provenance.h): "teachers, mixed"; empty: none
  std::uint64_t seed = 0;
  std::string device = "cpu";
  std::string precision = "fp32";  ///< "fp32", "tf32", "bf16" or "fp16" (with a gradient scaler): precision.h
  bool deterministic = false;      ///< on a GPU: bit-reproducible, slower algorithms
  std::uint32_t threads = 0;       ///< of the student's arithmetic; 0: default_threads()
  std::uint32_t workers = 0;       ///< groups made at once; 0: default_threads()
  std::uint32_t eval_every = 1, checkpoint_every = 0, log_every = 10;
  std::uint64_t max_steps = 0;
  bool restart = false;     ///< move an existing run in `output` aside and start over instead of resuming it
  bool extend = false;      ///< a resumed run may have longer or shorter phases than it began with
  bool new_passes = false;  ///< a resumed run also uses passes added to its cache since it began
  double feature_noise = 0.05, clip_norm = 0, crop_pct = 0.9;
  std::vector<double> mean = {0.485, 0.456, 0.406}, stddev = {0.229, 0.224, 0.225};
  ModelOptions model;
  TargetOptions targets;
  PlanOptions plan;  ///< without a cache
  AugmentOptions augment;
  FeatureTransformerOptions transformer;
  LossOptions loss;
  ScheduleOptions schedule;
  OptimizerOptions optimizer;
  EmaOptions ema;
  ScalerOptions scaler;  ///< for "fp16"

  void fields(Fields& f);
  ImageFolders folders() const;
  /// The images of `validation`, or the held-out ones, as class folders; nothing without either.
  std::optional<ImageFolders> validation_folders() const;
  /// What a finished student is evaluated on: the images of `test`, else those that validate it.
  std::optional<ImageFolders> evaluation_folders() const;
  /// `select` with kAuto resolved; kLast without validation images.
  Select selection() const;

  /// What lr_batch multiplies the learning rates by.
  double lr_factor() const { return lr_batch > 0 ? static_cast<double>(batch) / lr_batch : 1; }

  TrainingImageOptions image_options() const;
  SourceSettings source_settings() const;
  /// `student_size`, here and below: `size`, or the teacher's if that is 0.
  BatchOptions batch_options(int student_size) const;
  StudentOptions student_options(int student_size) const;
  ObjectiveOptions objective_options() const;
  EvaluationOptions evaluation_options(int student_size) const;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_OPTIONS_H_
