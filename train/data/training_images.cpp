#include "train/data/training_images.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/image/hold_out.h"
#include "common/image/scan.h"
#include "common/image/scan_report.h"

namespace vitrine {

TrainingImages scan_training_images(const TrainingImageOptions& options, const StopFlag& stop) {
  ImageFolders folders = options.folders;
  if (folders.images.empty())
    fail("images is not given; expected a folder of class folders, or with labels = \"none\" of any images");
  const std::filesystem::path made = std::filesystem::path(options.cache) / "index.h5";
  const bool cached = !options.cache.empty() && path_exists(made);
  ImageIndex known = cached ? read_index(made) : ImageIndex();
  if (cached && folders.labels == Labels::kFolders && known.classes.empty())
    fail(options.cache, ": was made of images without labels; set labels = \"none\"");
  if (cached && !known.classes.empty()) folders.labels = Labels::kFolders;
  // The scan's error would advise labels = "none", which is already set.
  if (options.folders.labels == Labels::kNone && folders.labels == Labels::kFolders &&
      directory_exists(folders.images) &&
      std::ranges::none_of(list_directory(folders.images), [](const DirectoryEntry& entry) {
        return entry.kind == DirectoryEntry::Kind::kDirectory && !entry.name.starts_with('.');
      }))
    throw Error(
        ErrorKind::kInput,
        {.path = folders.images.string(),
         .what = text("is a flat folder, but the cache ", options.cache, " was made from ", known.classes.size(),
                      " class folders (", known.classes.front(), ", ...)"),
         .remedy = "give the folder that the cache was made from; with labels = \"none\" its labels are not used"});
  ScanOptions how{options.index_depth, options.verify_images, options.bad_images == BadImages::kSkip, true, &stop};
  how.decoding = options.decoding;
  if (cached && !(options.decoding == Decoding()) && !(options.decoding == known.decoding))
    throw Error(ErrorKind::kInput, {.path = options.cache,
                                    .what = text("was made with ", known.decoding.describe(), ", this run has ",
                                                 options.decoding.describe()),
                                    .remedy = "leave both keys out to train with the cache's"});
  FolderScan scan;
  if (cached) {
    const KnownIndex before = known_index(options.cache, std::move(known));
    check_hold_out(options.cache, before.hold_out, folders.hold_out);
    how.depth = before.depth;  // the extraction decided how deep
    scan = scan_images(folders, how, before);
  } else {
    scan = scan_images(folders, how);
  }
  note(text(folders.describe(), ": ", scan.index.describe(), ", ", scan.left_out.size(), " left out"));
  say_what_is_left_out(scan.left_out);
  if (const std::string empty = empty_classes(scan.left_out); !empty.empty())
    note("warning: " + empty + "; the student has outputs that no image teaches");
  say_what_is_special(scan.counts, scan.index.decoding);
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
  if (classes == 0)
    fail(
        "the student would have no classes: the targets have no logits and its images no labels; extract logits "
        "(taps.logits), or train a backbone from the features in PyTorch (tools/python/README.md)");
  return classes;
}

}  // namespace vitrine
