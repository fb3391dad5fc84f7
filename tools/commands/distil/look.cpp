#include "tools/commands/distil/look.h"

#include <sys/stat.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <map>
#include <random>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/paths.h"
#include "common/base/processor_load.h"
#include "common/base/progress.h"
#include "common/base/screen.h"
#include "common/base/temporary.h"
#include "common/config/config.h"
#include "common/eval/accuracy.h"
#include "common/image/bad_pictures.h"
#include "common/image/exif.h"
#include "common/image/hold_out.h"
#include "common/image/scan.h"
#include "common/image/scan_report.h"
#include "common/models/weights/weights.h"
#include "common/teacher/class_name_match.h"
#include "common/teacher/clean_crops.h"
#include "common/teacher/module_card.h"
#include "common/teacher/teacher.h"
#include "common/teacher/teacher_check.h"
#include "extract/evaluate.h"
#include "tools/commands/cache/teacher/measure.h"
#include "tools/commands/distil/configuration.h"
#include "tools/commands/distil/student_cost.h"
#include "train/evaluation/evaluate.h"
#include "train/student/network.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFewestPhotos = 8;
constexpr std::uint32_t kEvaluatedPhotos = 200;

ImageFolders folders_of(const DistilRequest& request) {
  return {request.photos, request.unlabelled, request.labels() ? Labels::kFolders : Labels::kNone};
}

// Of PHOTOS, by hold_out_group().
std::vector<std::uint64_t> folder_sizes(const ImageIndex& all) {
  std::map<std::string_view, std::uint64_t> sizes;
  for (const ImageEntry& photo : all.images)
    if (!is_unlabelled(photo.id)) ++sizes[hold_out_group(photo.id)];
  std::vector<std::uint64_t> out;
  for (const auto& [folder, size] : sizes) out.push_back(size);
  return out;
}

// Those of `all` that are in `folders`, on their side of the split.
ImageIndex photos_in(const ImageFolders& folders, const ImageIndex& all) {
  const ImageIndex listed = list_image_folder(folders);
  ImageIndex out;
  out.classes = all.classes;
  std::ranges::set_intersection(all.images, listed.images, std::back_inserter(out.images), {}, &ImageEntry::id,
                                &ImageEntry::id);
  return out;
}

// Chooses what validates, and returns what teaches.
ImageIndex split(const DistilRequest& request, const ImageIndex& all, Found& found) {
  ImageFolders folders = folders_of(request);
  if (!request.validation.empty()) return all;
  folders.hold_out = found.hold_out = hold_out_share(folder_sizes(all));
  ImageIndex teaching = photos_in(folders, all);
  found.held_out = all.images.size() - teaching.images.size();  // the sides share none, and leave none out
  if (found.held_out == 0)
    fail(request.photos, ": holds too few photos per folder to hold some out for validation; give --val");
  return teaching;
}

// Lists the photos by their first bytes. Throws Error for too few, and for classes without any.
ImageIndex list_photos(const DistilRequest& request, const StopFlag& stop, Found& found) {
  PictureListing listing = list_by_header(folders_of(request), stop);
  found.photos = listing.index.images.size();
  found.classes = static_cast<std::uint32_t>(listing.index.classes.size());
  found.left_out = counts_by_kind(listing.left_out);
  if (found.photos < kFewestPhotos)
    fail(request.photos, ": holds ", counted(found.photos, "photo"),
         found.left_out.empty() ? "" : text(" (left out: ", found.left_out, ")"), "; expected at least ", kFewestPhotos,
         " JPEG, PNG or WebP files, and hundreds for a student worth having");
  if (const std::string empty = empty_classes(listing.left_out); !empty.empty()) {
    if (!request.allow_empty) refuse_empty_classes(listing.left_out, request.photos);
    found.warnings.push_back(empty + "; the student has outputs that no photo teaches");
  }
  return std::move(listing.index);
}

// Refuses what training would refuse too, but only after the extraction.
void check_training(const DistilRequest& request, const std::vector<std::string>& classes, const StopFlag& stop) {
  const std::pair<const std::string&, const char*> given[]{{request.validation, "--val out: some are then held out"},
                                                           {request.test, "--test out"}};
  for (const auto& [folder, option] : given) {
    if (folder.empty()) continue;
    std::error_code unknown;
    if (std::filesystem::equivalent(folder, request.photos, unknown))
      fail(folder,
           ": is the folder of the photos that teach, on which a student does well in any case; give other photos, or "
           "leave ",
           option);
    const ImageIndex listed = list_by_header({folder, {}, folders_of(request).labels}, stop).index;
    if (listed.images.empty()) fail(folder, ": holds no photo; expected JPEG, PNG or WebP files");
    if (request.labels()) match_classes(listed.classes, folder, {classes, classes.size()});
  }
  if (request.student_weights.empty()) return;
  const QuietScreen quiet;  // training loads them again, and prints its notes then
  ModelOptions student;
  student.arch = request.student, student.weights = request.student_weights;
  const Network network(student, static_cast<int>(std::max<std::size_t>(2, classes.size())), at::kCPU);
}

// Warns of photos that are stored on their side: of some, as it takes reading.
void look_for_rotated(const DistilRequest& request, const ImageIndex& all, Found& found) {
  constexpr std::size_t kExamined = 1000, kHead = std::size_t{1} << 16;  // EXIF is in the first segments of a JPEG
  if (request.exif_orientation != "ignore") return;
  const ImageFolders folders = folders_of(request);
  const std::size_t count = std::min(kExamined, all.images.size());
  std::size_t rotated = 0;
  std::vector<std::byte> head(kHead);
  for (std::size_t i = 0; i < count; ++i) try {
      const ReadableFile file(folders.file(all.images[i * all.images.size() / count].id));
      const std::span<std::byte> first = std::span(head).first(std::min<std::uint64_t>(kHead, file.size()));
      file.read(0, first);
      rotated += exif_orientation(first) != 1 ? 1 : 0;
    } catch (const Error& error) {
      if (!is_of_a_picture(error)) throw;  // the index names what cannot be read
    }
  if (rotated == 0) return;
  found.warnings.push_back(text(rotated, " of ", counted(count, "photo"), " examined ", rotated == 1 ? "is" : "are",
                                " stored turned, with an EXIF orientation that is ignored, as timm and torchvision do; "
                                "--exif-orientation apply turns them upright, if the teacher knows them so"));
}

// Seconds that the teacher takes for a few random pictures.
double seconds_of_forward(const TeacherOptions& options) {
  const QuietScreen quiet;  // it is opened again later, and prints its notes then
  TapOptions taps;
  taps.features = {-1};
  const Teacher teacher(options, taps);
  const std::uint32_t views = teacher.options().micro_batch;
  const auto side = static_cast<std::size_t>(teacher.image_size());
  std::vector<std::uint8_t> pictures(views * side * side * 3);
  std::minstd_rand random(1);
  for (std::uint8_t& value : pictures) value = static_cast<std::uint8_t>(random());
  teacher.run(pictures, views);  // the first allocates
  const auto start = std::chrono::steady_clock::now();
  teacher.run(pictures, views);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string faster_precision(TeacherOptions options) {
  options.precision = "fp32";
  const double fp32 = seconds_of_forward(options);
  options.precision = "bf16";
  try {
    return seconds_of_forward(options) < fp32 ? "bf16" : "fp32";
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return "fp32";  // a card without BF16
  }
}

constexpr const char* kLearnsWithout =
    ": its logits are not used, only its features and attention, and the labels. A teacher that was trained on these "
    "classes teaches more: vitrine train configs/photos/teacher.toml trains one";

// How the teacher's classes meet the photos' folders; sets facts.teacher_fits and class_names.
void meet_folders(const Teacher& teacher, const std::vector<std::string>& folders, Found& found) {
  const auto classes = static_cast<std::size_t>(teacher.classes());
  const std::vector<std::string>& names = teacher.class_names();
  if (classes == 0) {
    found.facts.teacher_fits = false;
    found.warnings.push_back(
        "the teacher has no head: the student learns from its features and attention, and from labels");
    return;
  }
  if (folders.empty()) return;  // without labels the student has the teacher's classes
  found.match = compare_class_names(names, folders);
  const std::string ambiguous = ambiguous_folder(names, folders);
  if (found.match == ClassNameMatch::kByName && ambiguous.empty()) {
    found.class_names = names;
    return;
  }
  std::string why;
  if (found.match == ClassNameMatch::kByName)
    why = text("several of the teacher's ", classes, " classes have the name of the photos' folder ", ambiguous);
  else if (found.match == ClassNameMatch::kPartial)
    why = text("the teacher has ", classes, " classes, and of the photos' folders some are not among them (",
               unmatched_folders(names, folders), ")");
  else if (classes != folders.size())
    why = text("the teacher has ", classes, " classes and the photos ", folders.size(),
               names.empty() ? ", and the names of the teacher's are not known" : ", under other names");
  if (why.empty()) return;  // the check on clean crops tries the order
  found.facts.teacher_fits = false;
  found.warnings.push_back(why + kLearnsWithout);
}

std::optional<std::uint64_t> free_bytes(const fs::path& directory) {
  std::error_code failure;
  const fs::space_info space = fs::space(directory, failure);
  if (failure) return std::nullopt;
  return space.available;
}

// Whether files of both are on one disk; where that is not known, they are taken to be.
bool on_one_disk(const fs::path& a, const fs::path& b) {
  struct stat one {
  }, other{};
  if (::stat(a.c_str(), &one) != 0 || ::stat(b.c_str(), &other) != 0) return true;
  return one.st_dev == other.st_dev;
}

// The choice that is enough to measure an extraction: its cost per view does not depend on the rest.
DistilChoice to_measure(std::uint64_t images, std::uint32_t module_batch) {
  DistilChoice out;
  out.passes = 1;
  out.group = group_size(images, module_batch);
  out.max_error = feature_error();
  out.mix_probability = 1;
  out.min_area = 0.35;
  return out;
}

ExtractOptions options_of(const DistilRequest& request, const Found& found, const DistilChoice& choice) {
  const TemporaryDirectory directory;
  const fs::path file = directory / kExtractFile;
  DistilRequest there = request;
  there.out = directory.path().string();
  if (there.cache.empty()) there.cache = request.cache_directory();
  publish(file, extract_configuration(there, found, choice));
  ExtractOptions out;
  load_config(file, {}, out);
  out.teacher.allow_module = request.allow_module;
  out.class_names.clear();  // the directory vanishes
  return out;
}

void evaluate_teacher(const DistilRequest& request, const ExtractOptions& options, const StopFlag& stop, Found& found) {
  if (!request.labels() || !found.facts.teacher_fits) return;
  const QuietScreen quiet;
  ExtractOptions evaluation = options;
  const TemporaryDirectory directory;
  if (!found.class_names.empty()) {
    write_class_names(directory.path(), found);
    evaluation.class_names = (directory / kClassNames).string();
  }
  const TeacherEvaluation score = evaluate_teachers({evaluation}, kEvaluatedPhotos, stop).front();
  found.top1 = score.top1;
  found.evaluated = score.images;
  const auto percent = [](double share) { return text(std::lround(1000 * share) / 10.0, " %"); };
  Accuracy accuracy;
  accuracy.top1 = score.top1, accuracy.images = score.images;
  if (!at_chance(accuracy, found.classes)) return;
  if (found.match == ClassNameMatch::kDisjoint) {
    found.facts.teacher_fits = false;
    found.top1.reset();
    found.warnings.push_back(
        text("the teacher's classes have other names than the photos' folders, and it is right on ",
             percent(score.top1), " of ", score.images, " photos, which guessing reaches too", kLearnsWithout));
    return;
  }
  const std::string what =
      text("is right on ", percent(score.top1), " of ", score.images, " photos, which guessing reaches too (",
           percent(1.0 / std::max(1u, found.classes)), "): it has other classes, or another order, mean or std");
  if (!request.allow_chance)
    throw Error(ErrorKind::kInput, {.path = request.teacher,
                                    .what = what,
                                    .remedy = "give a teacher that knows these classes, or add --allow chance"});
  found.warnings.push_back("the teacher " + what);
}

}  // namespace

Found look(const DistilRequest& request, const StopFlag& stop) {
  Found found;
  DistilFacts& facts = found.facts;
  const ImageIndex all = list_photos(request, stop, found);
  check_training(request, all.classes, stop);
  look_for_rotated(request, all, found);
  const ImageIndex teaching = split(request, all, found);
  facts.labelled = request.labels() ? teaching.labelled() : 0;
  facts.begins_trained = !request.student_weights.empty();
  facts.gpu = request.device != "cpu";
  throw_if_stopped(stop, "while the photos were listed");
  note(text(human_count(found.photos), " photos; trying teacher and student on this machine"));

  const OtherPrograms others;
  found.teacher_file = request.allow_module ? request.teacher : main_weight_file(request.teacher).string();
  TeacherOptions teacher_options;
  (request.allow_module ? teacher_options.module : teacher_options.weights) = request.teacher;
  teacher_options.allow_module = request.allow_module;
  teacher_options.device = request.device;
  if (request.allow_module) {
    const ModuleCard card = ModuleFile::read(request.teacher).card;
    found.teacher_precision = card.precision;
    facts.module_batch = teacher_options.micro_batch = card.micro_batch;
  } else {
    found.teacher_precision = faster_precision(teacher_options);
  }
  throw_if_stopped(stop, "while the teacher was tried");
  teacher_options.precision = found.teacher_precision;
  {
    const Teacher teacher(teacher_options, {});
    found.teacher = teacher.options().name;
    found.teacher_classes = static_cast<std::uint32_t>(teacher.classes());
    facts.teacher_size = static_cast<std::uint32_t>(teacher.image_size());
    found.last_block = static_cast<std::uint32_t>(teacher.shape().depth() - 1);
    facts.has_attention = teacher.shape().blocks.back().heads > 0;
    meet_folders(teacher, all.classes, found);
  }
  if (!facts.teacher_fits && !request.labels())
    fail(request.teacher,
         ": has no head, and --no-labels leaves no labels: the student would have nothing to tell "
         "classes by; give a teacher with a head, or labelled photos");

  const DistilChoice measured = to_measure(teaching.images.size(), facts.module_batch);
  evaluate_teacher(request, options_of(request, found, measured), stop, found);
  throw_if_stopped(stop, "while the teacher was evaluated");
  const ExtractOptions options = options_of(request, found, measured);  // without logits of other classes
  const fs::path beside_cache = nearest_directory(request.cache_directory());
  std::size_t checks = 1;
  const Estimate estimate = [&] {
    const QuietScreen quiet;
    const Teacher teacher(options.teacher, options.taps);
    checks = check_passes(teacher);
    return measure_extraction(options, teacher, 0, beside_cache);
  }();
  throw_if_stopped(stop, "while the extraction was measured");
  facts.images = std::max<std::uint64_t>(1, teaching.images.size());
  facts.extract_seconds = estimate.costs.extraction;
  facts.data_seconds = estimate.decode + estimate.costs.read;
  facts.once_seconds = estimate.calibration() + estimate.decode * static_cast<double>(facts.images) +
                       (estimate.decode + static_cast<double>(checks) * estimate.costs.live) * options.check_images;
  facts.view_bytes = estimate.bytes_a_view();
  facts.free_bytes = free_bytes(beside_cache);
  const fs::path beside_run = nearest_directory(request.out);
  facts.one_disk = on_one_disk(beside_cache, beside_run);
  if (!facts.one_disk) facts.run_free_bytes = free_bytes(beside_run);
  found.costs = estimate.costs;
  const std::uint32_t size = request.size > 0 ? request.size : facts.teacher_size;
  ModelOptions student;
  student.arch = request.student;
  const StudentCost cost = student_cost(student, request.device, size,
                                        found.classes > 0 ? found.classes : std::max(2u, found.teacher_classes));
  const double scale = static_cast<double>(facts.teacher_size) / size;
  facts.step_seconds = cost.seconds * scale * scale;
  facts.weight_bytes = cost.weight_bytes;
  found.precision = cost.precision;
  found.others = others.share();
  return found;
}

}  // namespace vitrine
