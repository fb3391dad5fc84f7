#include "common/teacher/teacher_check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/kernels/normalise.h"
#include "common/teacher/class_order.h"
#include "common/teacher/preprocessing.h"

namespace vitrine {
namespace {

constexpr double kWorthTelling = 0.03;     // gain in top-1 that another mean and std must bring
constexpr double kMaxConfidenceGap = 0.1;  // calibrated classifiers have a smaller gap between confidence and accuracy

// `keys`: what stands before the keys of the configuration.
std::string colour_keys(const Normalisation& normalisation, const std::string& keys) {
  return text(keys, "teacher.mean = ", colour_words(normalisation.mean), ", ", keys,
              "teacher.std = ", colour_words(normalisation.stddev));
}

/// The teacher's, then the usual ones that differ from it.
std::vector<Normalisation> own_and_usual(const Teacher& teacher) {
  std::vector<Normalisation> out{teacher.normalisation()};
  for (Normalisation& usual : usual_normalisations())
    if (usual != out.front()) out.push_back(std::move(usual));
  return out;
}

/// The remedy for a head in another class order.
std::string order_remedy(const ClassOrder& order, const std::vector<std::string>& names, const std::string& folder,
                         const std::string& keys) {
  if (!order.command.empty())
    return text("set ", keys, "class_names to a file with the class folders' names in that order, one per line (ls ",
                folder, " | ", order.command, " > names.txt)");
  std::string pairs;
  int shown = 0;
  for (std::size_t c = 0; c < order.label_of.size() && shown < 3; ++c)
    if (order.label_of[c] != ClassOrder::kUnknown && order.label_of[c] != c)
      pairs += text(shown++ > 0 ? ", " : "", "its class ", c, " corresponds to \"", names[order.label_of[c]], "\"");
  return text("give ", keys, "class_names in the head's order or a ", keys, "class_map; on these images ", pairs);
}

bool fits_far_better(const CleanCrops& other, const CleanCrops& own) {
  if (other.right.size() != own.right.size()) return false;  // an image became unreadable meanwhile
  std::uint64_t gains = 0, losses = 0;
  for (std::size_t i = 0; i < own.right.size(); ++i) {
    gains += other.right[i] && !own.right[i];
    losses += own.right[i] && !other.right[i];
  }
  return beyond_chance(gains, losses) && other.accuracy.top1 > own.accuracy.top1 + kWorthTelling;
}

/// Of `tried`, whose first is the teacher's own: what to say of the one with the smallest loss among those that fit far
/// better than the first; "" if none does. `crops`: of each on the same images.
std::string better_normalisation(const std::vector<Normalisation>& tried, const std::vector<CleanCrops>& crops,
                                 const std::string& keys) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < crops.size(); ++i)
    if (fits_far_better(crops[i], crops[0]) && (best == 0 || crops[i].loss < crops[best].loss)) best = i;
  if (best == 0) return "";
  return text("of the usual mean and std, ", colour_keys(tried[best], keys), " fit best on the same crops, with top-1 ",
              percent_words(crops[best].accuracy.top1, 1), " instead of ", percent_words(crops[0].accuracy.top1, 1),
              "; set them if the teacher may have been trained with them");
}

/// What check_teacher() is asked for, beside the teacher.
struct CheckRequest {
  const ViewMaker& views;
  const ImageIndex& index;
  std::uint32_t count;
  std::uint64_t seed;
  const ClassMap* map;
  const std::string &folder, &keys;
  std::uint32_t workers;
  const StopFlag& stop;

  std::vector<CleanCrops> evaluate(const Teacher& teacher, std::span<const Normalisation> normalisations) const {
    return evaluate_clean_crops(teacher, views, index, count, seed, map, normalisations, workers, stop);
  }
};

/// `all`: the crops of the first of `tried`, or of each.
TeacherCheck judged(const Teacher& teacher, const std::vector<Normalisation>& tried, std::vector<CleanCrops> all,
                    const CheckRequest& request) {
  TeacherCheck out;
  const ClassMap* map = request.map;
  const ImageIndex& index = request.index;
  const CleanCrops& crops = out.crops = all.front();
  const Accuracy& accuracy = crops.accuracy;
  const std::size_t classes = map != nullptr ? map->columns().size() : index.classes.size();
  out.notes.push_back(text("teacher ", teacher.options().name, ": top-1 ", percent_words(accuracy.top1, 1), ", top-5 ",
                           percent_words(accuracy.top5, 1), ", mean confidence ", percent_words(crops.confidence, 1),
                           " on ", accuracy.images, " clean crops",
                           map != nullptr ? text(" of the ", classes, " mapped classes") : "", ", with ",
                           colour_keys(teacher.normalisation(), request.keys)));
  if (accuracy.images == 0) return out;

  if (map == nullptr && static_cast<std::size_t>(teacher.classes()) == classes)
    if (const auto order = better_order({crops.labels, crops.predictions}, index.classes)) {
      out.refusal =
          text("the teacher's top-1 is ", percent_words(accuracy.top1, 1), " in the order of the class folders, but ",
               percent_words(order->top1, 1), " in ", order->name.empty() ? "another order" : order->name,
               ", which is the order of its head; ", order_remedy(*order, index.classes, request.folder, request.keys));
      return out;
    }
  const bool chance = at_chance(accuracy, classes);
  const double error = std::sqrt(accuracy.top1 * (1 - accuracy.top1) / static_cast<double>(accuracy.images));
  const bool overconfident = crops.confidence - accuracy.top1 > std::max(kMaxConfidenceGap, 3 * error);
  if (overconfident)
    out.notes.push_back(text("the teacher's mean confidence is ", percent_words(crops.confidence, 1),
                             ", but its top-1 is only ", percent_words(accuracy.top1, 1),
                             "; usual causes: other classes or another class order than its head's, or another "
                             "normalisation (mean, std) or size than in its training"));
  // What is recorded may be wrong too.
  if (all.size() < tried.size() && (!teacher.normalisation_recorded() || chance || overconfident))
    for (CleanCrops& others : request.evaluate(teacher, std::span(tried).subspan(all.size())))
      all.push_back(std::move(others));
  const std::string colours = better_normalisation(tried, all, request.keys);
  if (chance)
    out.refusal =
        text("the teacher's top-1 of ", percent_words(accuracy.top1, 1), " on ", accuracy.images,
             " clean crops is at chance for ", classes, " classes; ",
             !colours.empty() ? colours
                              : "the usual cause is a class order other than the one it was trained with, or other "
                                "preprocessing (none of the usual values of " +
                                    request.keys + "teacher.mean and " + request.keys + "teacher.std fits)");
  else if (!colours.empty())
    out.notes.push_back(colours);
  return out;
}

}  // namespace

TeacherCheck check_teacher(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index, std::uint32_t count,
                           std::uint64_t seed, const ClassMap* map, const std::string& folder, const std::string& keys,
                           std::uint32_t workers, const StopFlag& stop) {
  const std::vector<Normalisation> tried = own_and_usual(teacher);
  const CheckRequest request{views, index, count, seed, map, folder, keys, workers, stop};
  return judged(teacher, tried, request.evaluate(teacher, std::span(tried).first(check_passes(teacher))), request);
}

TeacherCheck check_crops(const Teacher& teacher, CleanCrops crops, const ViewMaker& views, const ImageIndex& index,
                         std::uint32_t count, std::uint64_t seed, const ClassMap* map, const std::string& folder,
                         const std::string& keys, std::uint32_t workers, const StopFlag& stop) {
  std::vector<CleanCrops> all;
  all.push_back(std::move(crops));
  return judged(teacher, own_and_usual(teacher), std::move(all),
                {views, index, count, seed, map, folder, keys, workers, stop});
}

std::string decoding_difference(const Teacher& teacher, const ImageIndex& index) {
  if (!teacher.decoding() || *teacher.decoding() == index.decoding) return {};
  return text("the teacher was trained on pictures with ", teacher.decoding()->describe(), ", and these are read with ",
              index.decoding.describe(), "; set exif_orientation and grey16 as in its training");
}

std::size_t check_passes(const Teacher& teacher) {
  return teacher.normalisation_recorded() ? 1 : own_and_usual(teacher).size();
}

}  // namespace vitrine
