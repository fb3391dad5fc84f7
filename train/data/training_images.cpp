#include "train/data/training_images.h"

#include <torch/torch.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/image/scan.h"
#include "common/image/scan_report.h"

namespace vitrine {
namespace {

// What learning without labels, of all or of some views, does not allow.
void check_labels(const TrainOptions& options) {
  const LossOptions& loss = options.loss;
  const bool teacher = options.targets.source != TargetKind::kNone;
  if (!teacher && !options.unlabelled.empty())
    fail("unlabelled = \"", options.unlabelled,
         "\", but targets.source = \"none\" learns from labels alone; name a source, or leave these images out");
  if (options.select == Select::kAgreement && options.targets.teacher.weights.empty())
    fail("select = \"agreement\" asks the teacher about the validation images; give targets.teacher.weights");
  if (options.labels == Labels::kFolders) return;
  if (!teacher)
    fail("labels = \"none\" and targets.source = \"none\" leave nothing to learn from; name a source, or use labels");
  if (loss.output == OutputForm::kDecoupled)
    fail("loss.output = \"dkd\" sets the label's class apart, but labels = \"none\"; choose \"kl\"");
  if (loss.attention == AttentionForm::kGradient && loss.guidance_score == GuidanceScore::kLabels &&
      !options.targets.attention.empty())
    fail("loss.guidance_score = \"labels\", but labels = \"none\"; set it to \"teacher\"");
}

}  // namespace

TrainOptions without_absent_labels(TrainOptions options) {
  ScheduleOptions& schedule = options.schedule;
  if (options.labels == Labels::kNone)
    for (PhaseOptions* phase : {&schedule.align, &schedule.joint, &schedule.fine_tune}) phase->label_term = false;
  return options;
}

TrainingImages scan_training_images(const TrainOptions& options, const StopFlag& stop) {
  if (options.images.empty())
    fail("images is not given; expected a folder of class folders, or with labels = \"none\" of any images");
  check_labels(options);
  const std::filesystem::path made = std::filesystem::path(options.targets.cache) / "index.h5";
  const bool cached = options.targets.source == TargetKind::kCache && path_exists(made);
  ImageIndex known = cached ? read_index(made) : ImageIndex();
  ImageFolders folders = options.folders();
  if (cached && options.labels == Labels::kFolders && known.classes.empty())
    fail(options.targets.cache, ": was made of images without labels; set labels = \"none\"");
  if (cached && !known.classes.empty()) folders.labels = Labels::kFolders;
  // The scan would advise labels = "none", which is what the user has.
  if (options.labels == Labels::kNone && folders.labels == Labels::kFolders && directory_exists(options.images) &&
      std::ranges::none_of(list_directory(options.images), [](const DirectoryEntry& entry) {
        return entry.kind == DirectoryEntry::Kind::kDirectory && !entry.name.starts_with('.');
      }))
    throw Error(
        ErrorKind::kInput,
        {.path = options.images,
         .what = text("is a flat folder, but the cache ", options.targets.cache, " was made from ",
                      known.classes.size(), " class folders (", known.classes.front(), ", ...)"),
         .remedy = "give the folder that the cache was made from; with labels = \"none\" its labels are not used"});
  ScanOptions how{options.index_depth, options.verify_images, options.bad_images == BadImages::kSkip, true, &stop};
  FolderScan scan;
  if (cached) {
    const KnownIndex before = known_index(options.targets.cache, std::move(known));
    how.depth = before.depth;  // how deep is the extraction's matter
    scan = scan_images(folders, how, before);
  } else {
    scan = scan_images(folders, how);
  }
  note(text(folders.words(), ": ", scan.index.words(), ", ", scan.left_out.size(), " left out"));
  say_what_is_left_out(scan.left_out, std::filesystem::path(options.output) / kLeftOutFile);
  say_what_is_ignored(scan.counts);
  say_what_is_skipped(scan.bad);
  TrainingImages out;
  out.bad = std::make_shared<BadPictures>(options.bad_images, scan.index.images.size(), options.max_bad_share);
  for (const auto& [image, entry] : scan.bad) out.bad->add(image, entry);
  out.index = std::make_shared<const ImageIndex>(std::move(scan.index));
  out.left_out = std::move(scan.left_out);
  return out;
}

std::size_t student_classes(const ImageIndex& index, const TargetShapes& shapes) {
  const auto taught = static_cast<std::size_t>(shapes.classes);
  const std::size_t classes = index.classes.empty() ? taught : index.classes.size();
  if (!shapes.logits.empty() && taught != classes)
    fail("the teacher has ", taught, " classes, the images have ", classes,
         "; they must be the same classes in the same order, or be mapped (targets.class_map, targets.class_names)");
  return classes;
}

void describe_labels(const TrainOptions& options, const ImageIndex& index, std::size_t classes) {
  const std::size_t images = index.images.size(), labelled = index.labelled();
  if (options.labels == Labels::kNone) {
    note(text("labels = \"none\": no label term, r = 1 in every phase, and the teacher's ", classes, " classes"));
    if (options.selection() == Select::kLast)
      note(
          "nothing chooses a best checkpoint: that takes validation images, and targets.teacher.weights for agreement "
          "or select = \"top1\" for accuracy; the last weights are the result");
  } else if (labelled < images) {
    note(text(human_count(labelled), " of ", human_count(images),
              " images have a label; the label term comes from these alone, in a mean over all views"));
  }
}

}  // namespace vitrine
