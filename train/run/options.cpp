#include "train/run/options.h"

#include <ATen/ATen.h>

namespace vitrine {

void TrainOptions::fields(Fields& f) {
  f.text("images", images, "training images: a folder of class folders; with a cache: the one that it was made from");
  f.text("unlabelled", unlabelled,
         "additional training images without labels, which learn from the teacher only; with a cache: the folder that "
         "it was made from; empty: none");
  f.choice<Labels>("labels", labels, {{"folders", Labels::kFolders}, {"none", Labels::kNone}},
                   "folders: the class folder of an image is its label; none: images need no class folders, and no "
                   "labels are used (r = 1)");
  f.choice<VerifyImages>(
      "verify_images", verify_images, {{"sample", VerifyImages::kSample}, {"all", VerifyImages::kAll}},
      "with a cache: check the sizes of all images and read a hundredth of them (at least 256), or read all");
  f.choice<IndexDepth>(
      "index_depth", index_depth, {{"headers", IndexDepth::kHeaders}, {"decode", IndexDepth::kDecode}},
      "without a cache: how much of each training image is checked in advance; decode finds damage in its middle");
  f.choice<BadImages>("bad_images", bad_images, {{"stop", BadImages::kStop}, {"skip", BadImages::kSkip}},
                      "when a training image cannot be read or decoded, after three tries: stop, or skip the views "
                      "that need it; left_out.tsv in output lists them");
  decoding.fields(f);  // with a cache, its own
  f.number("max_bad_share", max_bad_share, "with bad_images = \"skip\": stop when more of the images are bad", {0, 1});
  f.text("allow", allow,
         "accepted differences, comma-separated: teachers (tracks, or the teacher used for agreement, of other "
         "weights), preprocessing (theirs), mixed (tracks or shards of another device kind, instruction set, library "
         "version, precision or micro-batch), pictures (decoded differently than for the teacher), tracks (replaced "
         "since the checkpoint, or their teacher's class names changed), chance (a live teacher that scores at chance, "
         "or fits another class order better); empty: none");
  f.number("hold_out", hold_out,
           "share of images, of each class, that does not teach the student and validates it where validation is not "
           "given; chosen by a hash of their names; with a cache: as it was made",
           {0, 0.9});
  f.text("validation", validation,
         "images on which the best checkpoint is selected; empty: those held out, or without any none");
  f.choice<Select>(
      "select", select,
      {{"auto", Select::kAuto}, {"top1", Select::kTop1}, {"agreement", Select::kAgreement}, {"last", Select::kLast}},
      "how the best checkpoint is selected: top1 on validation; agreement there with the teacher of "
      "targets.teacher.weights, which needs no labels; last: no selection; auto: top1 with labels, else agreement if "
      "there are weights, else last");
  f.text("test", test,
         "images for one evaluation at the end, of the best weights, where validation selected some, and of the last; "
         "empty: none");
  f.text(
      "output", output,
      "directory of the run: checkpoints, exported weights, config.toml, metrics, summary.json; may hold other files");
  f.integer("size", size, "side of the student's square input in pixels; 0: the teacher's", {0, 4096});
  f.integer("batch", batch, "views per step; divides the group or is a multiple of it", {1, 1048576});
  f.integer("micro_batch", micro_batch, "views per forward, to save memory; divides batch; 0: the whole batch",
            {0, 1048576});
  f.integer("lr_batch", lr_batch,
            "batch for which learning rates are given; they are scaled by batch / lr_batch; 0: not scaled",
            {0, 1048576});
  f.integer("batch_norm_batches", batch_norm_batches,
            "batches over which BatchNorm's statistics are re-estimated at the end; 0: off", {0, 1e9});
  f.integer("seed", seed, "seed of weights, order, augmentation and noise", {0, 9e18});
  f.text("device", device, "cpu, cuda (under torchrun or srun the GPU of the local rank) or cuda:N");
  f.choice<std::string>("precision", precision,
                        {{"fp32", "fp32"}, {"tf32", "tf32"}, {"bf16", "bf16"}, {"fp16", "fp16"}},
                        "arithmetic of the student (tf32: a GPU's, on the CPU fp32; bf16: on GPUs from capability "
                        "8.0); its head, weights and gradients stay FP32");
  f.flag("deterministic", deterministic,
         "on a GPU: reproducible but slower algorithms (needs CUBLAS_WORKSPACE_CONFIG=:4096:8); false: the fastest");
  f.integer("threads", threads,
            "threads of the student's arithmetic; 0: this process's share of the cores. On a CPU another number may "
            "change the last bits",
            {0, 4096});
  f.integer("workers", workers, "groups made at once; 0: this process's share of the cores", {0, 4096});
  f.integer("eval_every", eval_every, "epochs between validations", {1, 1e6});
  f.integer("checkpoint_every", checkpoint_every, "steps between checkpoints; 0: at each epoch's end", {0, 1e9});
  f.integer("log_every", log_every, "steps between lines of metrics.jsonl", {1, 1e9});
  f.integer("max_steps", max_steps, "stop after this step, with a checkpoint to resume from; 0: at the schedule's end",
            {0, 9e18});
  f.flag("restart", restart,
         "start over even if output holds a run, which is moved to OUTPUT.old; otherwise the same configuration "
         "resumes it, and another one is refused");
  f.flag("extend", extend,
         "resume although the phases' epochs differ: from the next step on the new schedule applies, as if it had been "
         "used from the beginning (a cosine rises again); steps already done are kept");
  f.flag("new_passes", new_passes,
         "when resuming, also use passes added to the cache since the run began; this changes the order of views from "
         "then on");
  f.number("feature_noise", feature_noise,
           "noise on teacher features, in standard deviations of each channel (of a transform track: of its basis)",
           {0, 10});
  f.number("clip_norm", clip_norm, "largest norm of the gradient; 0: no clipping", {0, 1e9});
  f.number("crop_pct", crop_pct, "share of the resized picture that validation keeps", {0.1, 1});
  f.numbers("mean", mean, "subtracted from each colour in [0, 1]", {0, 1});
  f.numbers("std", stddev, "each colour is divided by it", {1e-6, 1e6});
  f.section("model", model, "the student");
  f.section("targets", targets, "what the student learns from, in addition to labels");
  f.section("plan", plan, "what the views look like (without a cache, which has its own)");
  f.section("augment", augment, "the student's own light augmentation, after the shared view");
  f.section("transformer", transformer, "how the teacher's and the student's maps are compared");
  f.section("loss", loss, "terms of the loss");
  f.section("schedule", schedule, "phases, learning rates, weights");
  f.section("optimizer", optimizer, "how weights are updated");
  f.section("ema", ema, "a moving average of the student's weights, which is then evaluated and saved");
  f.section("scaler", scaler, "the gradient scaler (fp16 only)");
}

ImageFolders TrainOptions::folders() const {
  ImageFolders out(images, unlabelled, labels);
  out.hold_out = hold_out;
  return out;
}

std::optional<ImageFolders> TrainOptions::validation_folders() const {
  if (!validation.empty()) return ImageFolders(validation);
  if (hold_out <= 0) return std::nullopt;
  ImageFolders held = folders().held();
  held.labels = Labels::kFolders;
  return held;
}

std::optional<ImageFolders> TrainOptions::evaluation_folders() const {
  return test.empty() ? validation_folders() : ImageFolders(test);
}

Select TrainOptions::selection() const {
  if (!validation_folders()) return Select::kLast;
  if (select != Select::kAuto) return select;
  if (labels == Labels::kFolders) return Select::kTop1;
  return targets.teacher.file().empty() ? Select::kLast : Select::kAgreement;
}

TrainingImageOptions TrainOptions::image_options() const {
  return {.folders = folders(),
          .cache = targets.source == TargetKind::kCache ? targets.cache : "",
          .index_depth = index_depth,
          .verify_images = verify_images,
          .bad_images = bad_images,
          .max_bad_share = max_bad_share,
          .decoding = decoding};
}

SourceSettings TrainOptions::source_settings() const {
  return {.targets = targets,
          .plan = plan,
          .folders = folders(),
          .epochs = schedule.run_epochs(),
          .temperature = loss.temperature,
          .workers = workers};
}

BatchOptions TrainOptions::batch_options(int student_size) const {
  return {.batch = batch,
          .seed = seed,
          .workers = workers,
          .labels = labels,
          .size = student_size,
          .augment = augment,
          .schedule = schedule};
}

StudentOptions TrainOptions::student_options(int student_size) const {
  return {.model = model,
          .ema = ema,
          .size = student_size,
          .mean = mean,
          .stddev = stddev,
          .crop_pct = crop_pct,
          .precision = precision};
}

ObjectiveOptions TrainOptions::objective_options() const {
  return {.transformer = transformer,
          .loss = loss,
          .features = targets.features,
          .attention = targets.attention,
          .precision = precision};
}

EvaluationOptions TrainOptions::evaluation_options(int student_size) const {
  return {.size = student_size,
          .crop_pct = crop_pct,
          .mean = mean,
          .stddev = stddev,
          .decoding = decoding,
          .precision = precision,
          .workers = workers};
}

}  // namespace vitrine
