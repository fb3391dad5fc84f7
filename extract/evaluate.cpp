#include "extract/evaluate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/base/json_text.h"
#include "common/base/philox.h"
#include "common/base/local_ranks.h"
#include "common/base/progress.h"
#include "common/base/utf8.h"
#include "common/image/scan.h"
#include "common/image/views.h"
#include "common/teacher/clean_crops.h"
#include "common/teacher/teacher_check.h"
#include "extract/prepare/class_names.h"

namespace vitrine {
namespace {

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// `count` labelled images, drawn from all that are listed; only these are read.
struct ImageSample {
  std::shared_ptr<const ImageIndex> index;
  std::vector<LeftOut> left_out;  // drawn, and passed over
};

ImageSample sample_of_folder(const ExtractOptions& options, std::uint32_t count, const StopFlag& stop) {
  const ImageFolders folders{options.images, "", options.labels};
  const ImageIndex all = list_image_folder(folders);
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < all.images.size(); ++i)
    if (all.images[i].label != kNoLabel) order.push_back(i);
  RandomStream draws(options.plan.seed, Purpose::kSample);
  ImageIndex sample;
  std::vector<LeftOut> left_out;
  sample.classes = all.classes;
  sample.decoding = options.decoding;
  for (std::size_t i = 0; i < order.size() && sample.images.size() < count; ++i) {
    throw_if_stopped(stop, "before the first teacher");
    std::swap(order[i], order[i + draws.below(order.size() - i)]);
    ImageEntry entry = all.images[order[i]];
    if (std::optional<LeftOut> why = read_image_entry(folders, entry, options.decoding))
      left_out.push_back(*std::move(why));
    else
      sample.images.push_back(std::move(entry));
  }
  if (sample.images.empty())
    fail(options.images, ": contains no labelled image that can be read",
         left_out.empty() ? "" : text(" (", counts_by_kind(left_out), ")"));
  std::ranges::sort(sample.images, {}, &ImageEntry::id);
  return {std::make_shared<const ImageIndex>(std::move(sample)), std::move(left_out)};
}

CleanCrops evaluate_teacher(const ExtractOptions& options, const std::shared_ptr<const ImageIndex>& index,
                            const StopFlag& stop, bool judge, TeacherEvaluation& score) {
  const Teacher teacher(options.teacher, options.taps);
  score.name = teacher.options().name;
  const TeacherClasses classes = classes_of(options, teacher, *index);
  score.without_top1 = why_no_top1(teacher, *index, classes);
  if (!score.without_top1.empty()) {
    if (teacher.classes() > 0)
      fail(options.teacher.file(), ": the teacher has no top-1 on these images: ", score.without_top1,
           "; evaluate teachers that have one");
    return {};
  }
  const ClassMap* map = classes.map ? &*classes.map : nullptr;
  const ViewMaker views(options.folders(), index, static_cast<std::uint32_t>(teacher.image_size()));
  const std::uint32_t workers = options.workers > 0 ? options.workers : default_threads();
  const auto count = static_cast<std::uint32_t>(index->images.size());
  const double before = processor_seconds();
  CleanCrops crops = evaluate_clean_crops(teacher, views, *index, count, /*seed=*/0, map, workers, stop);
  score.images = crops.accuracy.images;
  score.top1 = crops.accuracy.top1, score.top5 = crops.accuracy.top5;
  score.confidence = crops.confidence;
  score.calibration_error = crops.calibration_error;
  score.core_milliseconds =
      1e3 * (processor_seconds() - before) / static_cast<double>(std::max<std::uint64_t>(1, score.images));
  if (!judge) return crops;
  if (std::string difference = decoding_difference(teacher, *index); !difference.empty())
    score.notes.push_back(std::move(difference));
  TeacherCheck check =
      check_crops(teacher, crops, views, *index, count, /*seed=*/0, map, options.images, /*keys=*/"", workers, stop);
  score.notes.insert(score.notes.end(), check.notes.begin() + 1, check.notes.end());  // without the figures
  if (!check.refusal.empty()) score.notes.push_back(std::move(check.refusal));
  return crops;
}

}  // namespace

std::vector<TeacherEvaluation> evaluate_teachers(const std::vector<ExtractOptions>& configurations, std::uint32_t count,
                                                 const StopFlag& stop, bool judge) {
  const ExtractOptions& first = configurations.front();
  if (first.images.empty()) fail("images is not given; expected a folder of class folders");
  for (const ExtractOptions& options : configurations) {
    if (options.labels == Labels::kNone)
      fail("labels = \"none\": teachers are evaluated on labelled images; set images");
    if (options.images != first.images || !(options.decoding == first.decoding))
      fail("the configurations name different images (", first.images, " and ", options.images,
           "); teachers are compared on the same ones");
  }
  at::set_num_threads(1);
  if (count == 0) count = first.check_images > 0 ? first.check_images : ExtractOptions().check_images;
  const ImageSample sample = sample_of_folder(first, count, stop);
  std::vector<TeacherEvaluation> scores(configurations.size());
  std::vector<CleanCrops> crops;
  for (std::size_t t = 0; t < configurations.size(); ++t) {
    scores[t].left_out = sample.left_out;
    crops.push_back(evaluate_teacher(configurations[t], sample.index, stop, judge, scores[t]));
  }
  if (std::ranges::none_of(scores, [](const TeacherEvaluation& score) { return score.without_top1.empty(); }))
    fail(first.teacher.file(), ": the teacher has no top-1 on these images: ", scores.front().without_top1,
         "; evaluate teachers that have one");
  for (std::size_t a = 0; a < scores.size(); ++a)
    for (std::size_t b = 0; b < scores.size(); ++b) scores[a].agreement.push_back(agreement(crops[a], crops[b]));
  return scores;
}

std::string as_table(const std::vector<TeacherEvaluation>& scores) {
  std::size_t width = 7;
  for (const TeacherEvaluation& score : scores) width = std::max(width, score.name.size());
  char line[256];
  std::snprintf(line, sizeof line, "%-*s  %6s  %6s  %6s  %10s  %11s  %12s", static_cast<int>(width), "teacher",
                "images", "top-1", "top-5", "confidence", "calibration", "core-ms");
  std::string out = line;
  for (std::size_t t = 0; t < scores.size() && scores.size() > 1; ++t) out += text("  agrees with ", t + 1);
  out += "\n";
  for (const TeacherEvaluation& score : scores) {
    out += padded(score.name, width);
    if (score.without_top1.empty())
      std::snprintf(line, sizeof line, "  %6llu  %5.1f%%  %5.1f%%  %9.1f%%  %10.1f%%  %12.1f",
                    static_cast<unsigned long long>(score.images), 100 * score.top1, 100 * score.top5,
                    100 * score.confidence, 100 * score.calibration_error, score.core_milliseconds);
    else
      std::snprintf(line, sizeof line, "  %6s  %6s  %6s  %10s  %11s  %12s", "-", "-", "-", "-", "-", "-");
    out += line;
    for (std::size_t t = 0; t < scores.size() && scores.size() > 1; ++t) {
      if (const std::optional<double>& share = score.agreement[t])
        std::snprintf(line, sizeof line, "  %12.1f%%", 100 * *share);
      else
        std::snprintf(line, sizeof line, "  %13s", "-");
      out += line;
    }
    out += "\n";
  }
  for (const TeacherEvaluation& score : scores)
    if (!score.without_top1.empty()) out += text(score.name, " has no top-1: ", score.without_top1, "\n");
  if (!scores.front().left_out.empty()) out += "left out: " + counts_by_kind(scores.front().left_out) + "\n";
  return out;
}

std::string as_json(const std::vector<TeacherEvaluation>& scores) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const TeacherEvaluation& score : scores) {
    auto shares = nlohmann::ordered_json::array();
    for (const std::optional<double>& share : score.agreement)
      shares.push_back(share ? nlohmann::ordered_json(*share) : nlohmann::ordered_json());
    auto figure = [&](double value) {
      return score.without_top1.empty() ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
    };
    nlohmann::ordered_json left_out = nlohmann::ordered_json::object();
    for (const LeftOut& entry : score.left_out) {
      nlohmann::ordered_json& of_kind = left_out[name_of(entry.kind)];
      of_kind = of_kind.is_null() ? 1 : of_kind.get<std::uint64_t>() + 1;
    }
    out.push_back({{"teacher", score.name},
                   {"images", score.images},
                   {"top1", figure(score.top1)},
                   {"top5", figure(score.top5)},
                   {"confidence", figure(score.confidence)},
                   {"calibration_error", figure(score.calibration_error)},
                   {"core_ms_per_image", figure(score.core_milliseconds)},
                   {"agreement", std::move(shares)},
                   {"left_out", std::move(left_out)},
                   {"notes", score.notes}});
    if (!score.without_top1.empty()) out.back()["without_top1"] = score.without_top1;
  }
  return json_text(out);
}

}  // namespace vitrine
