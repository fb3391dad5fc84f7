#include "extract/options.h"

#include "common/config/command_line.h"

namespace vitrine {

void ExtractOptions::fields(Fields& f) {
  f.text("images", images, "folder of class folders with JPEG, PNG or WebP images");
  f.text("unlabelled", unlabelled, "folder of additional images without labels, flat or nested; empty: none");
  f.choice<Labels>("labels", labels, {{"folders", Labels::kFolders}, {"none", Labels::kNone}},
                   "folders: the class folder of an image is its label; none: images is any folder, flat or nested, "
                   "and the teacher is not checked");
  f.number("hold_out", hold_out,
           "share of images, of each class, that gets no targets and validates the student: vitrine-train takes the "
           "same key; chosen by a hash of their names",
           {0, 0.9});
  f.text("cache", cache, "directory of the cache; created if missing, extended if it exists");
  f.integer("first_pass", first_pass, "first pass (augmented sweep over the images) to make", {0, 1e6});
  f.integer("passes", passes, "number of passes to make", {1, 1e6});
  f.text("part", part,
         "i/n: make every n-th shard, starting with the i-th, for n concurrent processes on a cache that was prepared "
         "(--prepare); auto: from RANK and WORLD_SIZE (torchrun --no-python), or SLURM_PROCID and SLURM_NTASKS (srun)");
  f.integer("workers", workers, "groups made at once, each on one thread; 0: this process's share of the cores",
            {0, 4096});
  f.integer("check_images", check_images, "clean crops on which the teacher is checked first; 0: no check", {0, 1e6});
  f.text("class_map", class_map,
         "for a teacher of other classes: a file with one teacher class and student class per line, by number or name, "
         "used only by that check: all its logits are stored, and mapped when a student reads them; empty: none, or "
         "class_names");
  f.text("class_names", class_names,
         "a file with the teacher's class names, one per line, for class_map or to be matched with the class folders");
  f.flag("allow_chance", allow_chance,
         "accept a teacher that scores at chance, or fits another class order better; --allow chance sets it");
  f.flag(
      "allow_mixed", allow_mixed,
      "continue tracks begun with another GPU, CPU, library version or micro-batch; each shard records what made it; "
      "--allow mixed sets it");
  f.flag("allow_empty", allow_empty,
         "accept class folders without a readable image, whose outputs of the student no image teaches; --allow empty "
         "sets it");
  f.choice<VerifyImages>("verify_images", verify_images,
                         {{"sample", VerifyImages::kSample}, {"all", VerifyImages::kAll}},
                         "when the cache has an index: check the sizes of all images and read a hundredth of them (at "
                         "least 256), or read all");
  f.choice<IndexDepth>("index_depth", index_depth, {{"headers", IndexDepth::kHeaders}, {"decode", IndexDepth::kDecode}},
                       "how much of each picture is checked in advance: headers (fast), or decode (finds damage "
                       "anywhere); done once, also for an index that was made with headers");
  f.choice<BadImages>("bad_images", bad_images, {{"stop", BadImages::kStop}, {"skip", BadImages::kSkip}},
                      "when a picture of the index cannot be read, after three tries: stop, or skip the views that "
                      "need it; left_out.tsv in the cache lists them");
  decoding.fields(f);
  f.number("max_bad_share", max_bad_share, "with bad_images = \"skip\": stop when more of the images are bad", {0, 1});
  f.section("teacher", teacher, "the model that gives the targets");
  f.section("taps", taps, "which targets are stored, and in which encoding");
  f.section("plan", plan, "what the views look like");
}

ImageFolders ExtractOptions::folders() const {
  ImageFolders out(images, unlabelled, labels);
  out.hold_out = hold_out;
  return out;
}

void take_allowed_words(std::vector<std::string> lists, ExtractOptions& options) {
  options.allow_chance = take_allowed(lists, "chance") || options.allow_chance;
  options.allow_empty = take_allowed(lists, "empty") || options.allow_empty;
  options.allow_mixed = take_allowed(lists, "mixed") || options.allow_mixed;
  options.teacher.allow_module = take_allowed(lists, "module");
  refuse_other_words(lists, {"chance", "empty", "mixed", "module"});
}

}  // namespace vitrine
