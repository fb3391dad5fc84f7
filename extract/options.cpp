#include "extract/options.h"

namespace vitrine {

void ExtractOptions::fields(Fields& f) {
  f.text("images", images, "folder of class folders with JPEG, PNG or WebP images");
  f.text("unlabelled", unlabelled, "folder of further images, flat or nested, which have no labels; empty: none");
  f.choice<Labels>(
      "labels", labels, {{"folders", Labels::kFolders}, {"none", Labels::kNone}},
      "folders: the class folder of an image is its label; none: images is any folder, flat or nested, and "
      "the teacher is not judged first");
  f.text("cache", cache, "directory of the cache; made when it is missing, added to when it is there");
  f.integer("first_pass", first_pass, "first augmented sweep over the images to make", {0, 1e6});
  f.integer("passes", passes, "how many sweeps to make", {1, 1e6});
  f.text("part", part,
         "i/n: make every n-th shard beginning with the i-th, for n processes side by side in a cache that was "
         "prepared (--prepare); auto: from RANK and WORLD_SIZE (torchrun --no-python), or SLURM_PROCID and "
         "SLURM_NTASKS (srun)");
  f.integer("workers", workers, "groups in work at once, each on one thread; 0: this process's share of the cores",
            {0, 4096});
  f.integer("check_images", check_images, "clean crops on which the teacher is judged first; 0: none", {0, 1e6});
  f.text(
      "class_map", class_map,
      "for a teacher of other classes: a file with a teacher class and a student class a line, by number or name, for "
      "that judgement alone: all its logits are kept, and mapped when a student reads them; empty: none, or "
      "class_names");
  f.text("class_names", class_names,
         "a file with the teacher's class names, one per line, for class_map or to be matched with the class folders");
  f.flag("allow_chance", allow_chance,
         "go on with a teacher that scores at chance, or fits another class order better");
  f.flag("allow_mixed", allow_mixed,
         "add to tracks that another card, CPU, library version or micro-batch began; each shard says what made it");
  f.choice<VerifyImages>("verify_images", verify_images,
                         {{"sample", VerifyImages::kSample}, {"all", VerifyImages::kAll}},
                         "when the cache has an index: read a hundredth of the images (at least 256) and ask for the "
                         "sizes of all, or read all");
  f.choice<IndexDepth>("index_depth", index_depth, {{"headers", IndexDepth::kHeaders}, {"decode", IndexDepth::kDecode}},
                       "how far pictures are looked at before the first view: headers, which is fast, or decode, which "
                       "finds damage in their middle; done once, also for an index that was made by headers");
  f.choice<BadImages>("bad_images", bad_images, {{"stop", BadImages::kStop}, {"skip", BadImages::kSkip}},
                      "when a picture of the index cannot be read any more, after three tries: stop, or go on without "
                      "the views that need it; left_out.tsv in the cache names them");
  decoding.fields(f);
  f.number("max_bad_share", max_bad_share, "with bad_images = \"skip\": stop when more of the images are bad", {0, 1});
  f.section("teacher", teacher, "the model that gives the targets");
  f.section("taps", taps, "which targets are kept, and in which encoding");
  f.section("plan", plan, "what the views look like");
}

}  // namespace vitrine
