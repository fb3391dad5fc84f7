#include "train/targets/target_options.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/lines.h"

namespace vitrine {

void TargetOptions::fields(Fields& f) {
  f.choice("source", source,
           {{"none", TargetKind::kNone}, {"cache", TargetKind::kCache}, {"teacher", TargetKind::kTeacher}},
           "source of the teacher's targets: none (labels only), a cache, or the teacher itself");
  f.text("cache", cache, "the cache's directory");
  f.text(
      "cache_teacher", cache_teacher,
      "which teacher of the cache, NAME or NAME.xxxxxxxx, if it has several; several with commas teach together: the "
      "student learns the weighted mean of their probabilities at loss.temperature");
  f.numbers("teacher_shares", teacher_shares, "weights of several teachers, in their order; empty: equal", {0, 1e6});
  f.text("features", features,
         "tracks of the feature term, for instance features.11, comma-separated (with several teachers "
         "TEACHER/features.11); empty: no feature term");
  f.text("attention", attention, "track of attention transfer, for instance attention.11; empty: none");
  f.flag("embedding", embedding, "the student's pooled feature learns the teacher's embedding (loss.embedding_weight)");
  f.flag("through_codec", through_codec,
         "a live teacher's targets are encoded and decoded, so that they have a cache's errors");
  f.integer("passes", passes, "without a cache: number of passes that epochs cycle through; 0: a new pass each epoch",
            {0, 1e6});
  f.integer("check_images", check_images,
            "labelled images on whose clean crops a live teacher is checked before the first step; 0: no check",
            {0, 1e6});
  f.text("class_map", class_map,
         "for a teacher of other classes: a file with one teacher class and student class per line, by number or name; "
         "classes without a counterpart are dropped and the rest rescaled; empty: the classes are the same, or "
         "class_names");
  f.text("class_names", class_names,
         "a file with the teacher's class names, one per line, for class_map or to be matched with the class folders");
  f.section("teacher", teacher, "the live teacher");
  f.section("taps", taps, "the live teacher's targets and the encodings that through_codec gives them");
}

std::vector<std::string> cache_teachers(const TargetOptions& options) {
  std::vector<std::string> out = comma_separated(options.cache_teacher);
  if (out.empty()) out.emplace_back();
  for (auto name = out.begin(); name != out.end(); ++name)
    if (std::find(out.begin(), name, *name) != name)
      fail("targets.cache_teacher = \"", options.cache_teacher, "\" names ", *name, " twice; name each teacher once");
  const std::vector<double>& shares = options.teacher_shares;
  if (!shares.empty() && (shares.size() != out.size() || std::accumulate(shares.begin(), shares.end(), 0.0) <= 0))
    fail("targets.teacher_shares has ", counted(shares.size(), "number"), " for ", counted(out.size(), "teacher"),
         " of targets.cache_teacher; give one per teacher, not all 0");
  return out;
}

std::vector<std::string> feature_tracks(const std::string& features) {
  const std::vector<std::string> out = comma_separated(features);
  for (auto name = out.begin(); name != out.end(); ++name)
    if (std::find(out.begin(), name, *name) != name)
      fail("targets.features = \"", features, "\" names ", *name, " twice; name each track once");
  return out;
}

}  // namespace vitrine
