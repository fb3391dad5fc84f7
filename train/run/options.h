// What vitrine-train is told: all keys of its configuration. Rooms below take no TrainOptions but the small struct of
// their own, which a function here makes of it, so that one room's option does not compile another anew.
#ifndef VITRINE_TRAIN_RUN_OPTIONS_H_
#define VITRINE_TRAIN_RUN_OPTIONS_H_

#include <cstdint>
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
#include "train/student/model_options.h"
#include "train/student/student.h"
#include "train/student/weight_ema.h"
#include "train/targets/target_options.h"

namespace vitrine {

/// What makes a checkpoint the best one.
enum class Select {
  kAuto,       ///< kTop1 with labels; without, kAgreement where targets.teacher has weights, else kLast
  kTop1,       ///< accuracy on the validation images, which then have class folders
  kAgreement,  ///< the share of validation images on which the student says what its teacher says (agreement.h)
  kLast        ///< nothing: the last weights are all there is
};

struct TrainOptions {
  std::string images;      ///< training images, a folder of class folders; with a cache, the one it was made from
  std::string unlabelled;  ///< further training images, which have no labels; empty: none
  Labels labels = Labels::kFolders;
  std::string validation;  ///< judged each eval_every epochs, picks the best checkpoint; empty: none
  Select select = Select::kAuto;
  std::string test;          ///< judged once, with the final weights; empty: none
  std::string output;        ///< directory of the run: weights, checkpoint, log, summary; one that is there goes on
  std::uint32_t size = 0;    ///< side of the student's square; 0: the teacher's
  std::uint32_t batch = 64;  ///< views per step
  std::uint32_t micro_batch = 0;  ///< views in one forward, whose gradients add up to the step's; 0: all
  std::uint32_t lr_batch = 0;  ///< learning rates are meant for this batch and grow with batch / lr_batch; 0: as given
  std::uint32_t batch_norm_batches = 0;  ///< at the end BatchNorm's statistics are taken anew over these; 0: not
  VerifyImages verify_images = VerifyImages::kSample;  ///< with a cache, how far its index is believed
  IndexDepth index_depth = IndexDepth::kHeaders;       ///< without a cache, how far training images are looked at
  BadImages bad_images = BadImages::kStop;             ///< when a picture of the index cannot be read
  double max_bad_share = 0.01;                         ///< of the images that may be skipped
  Decoding decoding;  ///< of every picture; with a cache its own, and these are not given or the same
  std::string allow;  ///< differences to go on with (provenance.h): "teachers, mixed"; empty: none
  std::uint64_t seed = 0;
  std::string device = "cpu";
  std::string precision = "fp32";  ///< "fp32", "tf32", "bf16" or "fp16" (with a gradient scaler): precision.h
  bool deterministic = false;      ///< on a GPU: equal bits each time, at a price
  std::uint32_t threads = 0;       ///< of the student's arithmetic; 0: default_threads()
  std::uint32_t workers = 0;       ///< groups in work at once; 0: default_threads()
  std::uint32_t eval_every = 1, checkpoint_every = 0, log_every = 10;
  std::uint64_t max_steps = 0;
  bool restart = false;     ///< a run that `output` holds is moved aside and begun anew; else it goes on
  bool extend = false;      ///< a run that goes on may have longer (or shorter) phases than it began with
  bool new_passes = false;  ///< a run that goes on also uses the passes that its cache has got since it began
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
  ImageFolders folders() const { return {images, unlabelled, labels}; }
  /// What `select` means for this run: not kAuto. Without validation images kLast.
  Select selection() const;

  TrainingImageOptions image_options() const;
  SourceSettings source_settings() const;
  /// `student_size`: of the student's pictures, here and below: `size`, or the teacher's where that is 0.
  BatchOptions batch_options(int student_size) const;
  StudentOptions student_options(int student_size) const;
  ObjectiveOptions objective_options() const;
  EvaluationOptions evaluation_options(int student_size) const;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_OPTIONS_H_
