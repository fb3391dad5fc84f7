#include <torch/torch.h>

#include "train/run/options.h"

#include <utility>

namespace vitrine {

std::vector<std::string> comma_separated(const std::string& words) {
  std::vector<std::string> out;
  std::string word;
  for (const char c : words + ",") {
    if (c != ',' && c != ' ') {
      word += c;
    } else if (!word.empty()) {
      out.push_back(std::exchange(word, {}));
    }
  }
  return out;
}

void TargetOptions::fields(Fields& f) {
  f.choice("source", source,
           {{"none", TargetKind::kNone}, {"cache", TargetKind::kCache}, {"teacher", TargetKind::kTeacher}},
           "where the teacher's targets come from: nowhere (labels only), a cache, or the teacher itself");
  f.text("cache", cache, "the cache's directory");
  f.text("cache_teacher", cache_teacher, "which teacher of the cache, NAME or NAME.xxxxxxxx, when it has several");
  f.text("features", features,
         "tracks of the feature term, for instance features.11, or several with commas; empty: no feature term");
  f.text("attention", attention, "track of attention transfer, for instance attention.11; empty: none");
  f.flag("through_codec", through_codec, "a live teacher's targets take the codec's errors, as a cache's have");
  f.integer("passes", passes, "without a cache: sweeps of the plan that epochs use in turn; 0: a new one each epoch",
            {0, 1e6});
  f.text("class_map", class_map,
         "for a teacher of other classes: a file with a teacher class and a student class a line, by number or name; "
         "what has no counterpart is left out and the rest rescaled; empty: the classes are the same, or class_names");
  f.text("class_names", class_names,
         "a file with the teacher's class names, one a line, for class_map or to be matched with the class folders");
  f.section("teacher", teacher, "the live teacher");
  f.section("taps", taps, "the live teacher's targets and the forms that through_codec gives them");
}

void ModelOptions::fields(Fields& f) {
  f.choice<std::string>("kind", kind, {{"resnet", "resnet"}, {"vit", "vit"}},
                        "what is trained; a vit takes labels only");
  f.choice<std::string>("arch", arch,
                        {{"resnet18", "resnet18"},
                         {"resnet34", "resnet34"},
                         {"resnet50", "resnet50"},
                         {"resnet101", "resnet101"},
                         {"resnet152", "resnet152"}},
                        "which ResNet");
  f.integer("width", width, "channels that a ResNet begins with; 64 is the published model, less is a slim one",
            {1, 4096});
  f.section("vit", vit, "sizes of the ViT");
  f.text("weights", weights,
         "a .safetensors file to start from; a head of another size is replaced; empty: random weights");
}

void TrainOptions::fields(Fields& f) {
  f.text("images", images, "training images: a folder of class folders; with a cache, the one that it was made from");
  f.text("unlabelled", unlabelled,
         "further training images, which have no labels and learn from the teacher alone; with a cache, those that it "
         "was made from; empty: none");
  f.choice<Labels>("labels", labels, {{"folders", Labels::kFolders}, {"none", Labels::kNone}},
                   "folders: the class folder of an image is its label; none: images need no class folders, and labels "
                   "teach nothing (r = 1)");
  f.choice<VerifyImages>(
      "verify_images", verify_images, {{"sample", VerifyImages::kSample}, {"all", VerifyImages::kAll}},
      "with a cache: read a hundredth of the images (at least 256) and ask for the sizes of all, or read all");
  f.choice<IndexDepth>("index_depth", index_depth, {{"headers", IndexDepth::kHeaders}, {"decode", IndexDepth::kDecode}},
                       "without a cache: how far training images are looked at first; decode finds damage in their "
                       "middle");
  f.choice<BadImages>("bad_images", bad_images, {{"stop", BadImages::kStop}, {"skip", BadImages::kSkip}},
                      "when a training image cannot be read or decoded, after three tries: stop, or go on without its "
                      "views, which left_out.tsv in output names");
  f.number("max_bad_share", max_bad_share, "with bad_images = \"skip\": stop when more of the images are bad", {0, 1});
  f.text(
      "allow", allow,
      "differences to go on with, with commas: teachers (tracks or a judge of other weights), preprocessing (theirs), "
      "mixed (tracks or shards of another device kind, instruction set, library version, precision or micro-batch), "
      "pictures (decoded in another way than for the teacher), tracks (replaced since the checkpoint); empty: none");
  f.text("validation", validation, "images that choose the best checkpoint; empty: none");
  f.choice<Select>(
      "select", select,
      {{"auto", Select::kAuto}, {"top1", Select::kTop1}, {"agreement", Select::kAgreement}, {"last", Select::kLast}},
      "what chooses the best checkpoint: top1 on validation; agreement there with the teacher of "
      "targets.teacher.weights, for which no labels are needed; last: nothing; auto: top1 with labels, else "
      "agreement where there are weights, else last");
  f.text("test", test, "images that judge the final weights, once; empty: none");
  f.text("output", output,
         "directory of the run: checkpoint, best and final weights, config.toml, log.csv, summary.json");
  f.integer("size", size, "side of the student's square in pixels; 0: the teacher's", {0, 4096});
  f.integer("batch", batch, "views a step; divides the group or is a multiple of it", {1, 1048576});
  f.integer("micro_batch", micro_batch, "views in one forward, to spare memory; divides batch; 0: the whole batch",
            {0, 1048576});
  f.integer("lr_batch", lr_batch,
            "the batch that learning rates are meant for; they grow with batch / lr_batch; 0: as given", {0, 1048576});
  f.integer("batch_norm_batches", batch_norm_batches,
            "BatchNorm's statistics are taken anew over so many batches at the end; 0: not", {0, 1e9});
  f.integer("seed", seed, "of weights, order, augmentation and noise", {0, 9e18});
  f.text("device", device, "cpu, cuda (under torchrun or srun the GPU of the local rank) or cuda:N");
  f.choice<std::string>(
      "precision", precision, {{"fp32", "fp32"}, {"tf32", "tf32"}, {"bf16", "bf16"}, {"fp16", "fp16"}},
      "arithmetic of the student (tf32: a GPU's, on the CPU fp32; bf16: on GPUs from capability 8.0); "
      "its head, weights and gradients stay FP32");
  f.flag(
      "deterministic", deterministic,
      "on a GPU: algorithms that give equal bits each time, slower (needs CUBLAS_WORKSPACE_CONFIG=:4096:8); false: the "
      "fastest");
  f.integer(
      "threads", threads,
      "of the student's arithmetic; 0: this process's share of the cores. On a CPU another number may change the last "
      "bits",
      {0, 4096});
  f.integer("workers", workers, "groups in work at once; 0: this process's share of the cores", {0, 4096});
  f.integer("eval_every", eval_every, "epochs between validations", {1, 1e6});
  f.integer("checkpoint_every", checkpoint_every, "steps between checkpoints; 0: at each epoch's end", {0, 1e9});
  f.integer("log_every", log_every, "steps between lines of log.csv", {1, 1e9});
  f.integer("max_steps", max_steps, "stop after this step, with a checkpoint to go on from; 0: at the schedule's end",
            {0, 9e18});
  f.flag(
      "restart", restart,
      "begin anew although output holds a run, which is renamed to OUTPUT.old; otherwise the same configuration goes "
      "on with it, and another one is refused");
  f.flag(
      "extend", extend,
      "go on although the phases' epochs differ: from the next step on the schedule is the new one, as if it had been "
      "so from the beginning (a cosine rises again), and steps already done stay as they were");
  f.flag(
      "new_passes", new_passes,
      "go on with the passes that the cache has got since the run began as well; from there on the order is another");
  f.number("feature_noise", feature_noise,
           "noise on teacher features, in standard deviations of each channel (of a transform track: of its basis)",
           {0, 10});
  f.number("clip_norm", clip_norm, "largest norm of the gradient; 0: any", {0, 1e9});
  f.number("crop_fraction", crop_fraction, "share of the resized picture that validation keeps", {0.1, 1});
  f.numbers("mean", mean, "subtracted from each colour in [0, 1]", {0, 1});
  f.numbers("deviation", deviation, "each colour is divided by it", {1e-6, 1e6});
  f.section("model", model, "the student");
  f.section("targets", targets, "what it learns from, beside labels");
  f.section("plan", plan, "what the views look like (without a cache, which has its own)");
  f.section("augment", augment, "the student's own light augmentation, after the shared view");
  f.section("transformer", transformer, "how teacher and student maps are compared");
  f.section("loss", loss, "terms of the loss");
  f.section("schedule", schedule, "phases, learning rates, weights");
  f.section("optimizer", optimizer, "how weights are updated");
  f.section("average", average, "a moving average of the student's weights, which is then judged and kept");
  f.section("scaler", scaler, "the loss's scale (fp16 only)");
}

Select TrainOptions::selection() const {
  if (validation.empty()) return Select::kLast;
  if (select != Select::kAuto) return select;
  if (labels == Labels::kFolders) return Select::kTop1;
  return targets.teacher.weights.empty() ? Select::kLast : Select::kAgreement;
}

}  // namespace vitrine
