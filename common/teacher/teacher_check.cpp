#include "common/teacher/teacher_check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "common/base/error.h"
#include "common/teacher/class_order.h"
#include "common/kernels/normalise.h"

namespace vitrine {
namespace {

constexpr double kMaxConfidenceGap = 0.1;  // calibrated classifiers have a smaller gap between confidence and accuracy

std::string percent(double share) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f %%", 100 * share);
  return buffer;
}

std::string in_brackets(const std::vector<double>& colours) {
  std::string out = colour_words(colours);
  for (std::size_t at = out.find(' '); at != std::string::npos; at = out.find(' ', at + 2)) out.replace(at, 1, ", ");
  return "[" + out + "]";
}

std::string keys(const Normalisation& normalisation) {
  return text("teacher.mean = ", in_brackets(normalisation.mean),
              ", teacher.std = ", in_brackets(normalisation.stddev));
}

/// 0.5, or ImageNet's if `used` is 0.5 already.
Normalisation other_common(const Normalisation& used) {
  const std::vector<double> half(3, 0.5);
  if (used.mean == half && used.stddev == half) return {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};
  return {half, half};
}

/// The remedy for a head in another class order.
std::string order_remedy(const ClassOrder& order, const std::vector<std::string>& names, const std::string& folder) {
  if (!order.command.empty())
    return text("set class_names to a file with the class folders' names in that order, one per line (ls ", folder,
                " | ", order.command, " > names.txt)");
  std::string pairs;
  int shown = 0;
  for (std::size_t c = 0; c < order.label_of.size() && shown < 3; ++c)
    if (order.label_of[c] != ClassOrder::kUnknown && order.label_of[c] != c)
      pairs += text(shown++ > 0 ? ", " : "", "its class ", c, " corresponds to \"", names[order.label_of[c]], "\"");
  return text("give class_names in the head's order or a class_map; on these images ", pairs);
}

/// Tries the other common normalisation on the same crops; a note if it is better, else "".
std::string better_normalisation(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                                 std::uint32_t count, std::uint64_t seed, const ClassMap* map, const CleanCrops& crops,
                                 std::uint32_t workers, const StopFlag& stop) {
  const Normalisation other = other_common(teacher.normalisation());
  const CleanCrops again = judge_clean_crops(teacher, views, index, count, seed, map, &other, workers, stop);
  if (again.right.size() != crops.right.size()) return "";  // an image became unreadable meanwhile
  std::uint64_t gains = 0, losses = 0;
  for (std::size_t i = 0; i < crops.right.size(); ++i) {
    gains += again.right[i] && !crops.right[i];
    losses += crops.right[i] && !again.right[i];
  }
  if (!beyond_chance(gains, losses)) return "";
  return text("with ", keys(other), " its top-1 on the same crops is ", percent(again.accuracy.top1),
              "; it was probably trained with these values, set them");
}

}  // namespace

TeacherCheck check_teacher(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index, std::uint32_t count,
                           std::uint64_t seed, const ClassMap* map, const std::string& folder, std::uint32_t workers,
                           const StopFlag& stop) {
  TeacherCheck out;
  const CleanCrops& crops = out.crops =
      judge_clean_crops(teacher, views, index, count, seed, map, nullptr, workers, stop);
  const Accuracy& accuracy = crops.accuracy;
  const std::size_t classes = map != nullptr ? map->columns().size() : index.classes.size();
  out.notes.push_back(text(
      "teacher ", teacher.options().name, ": top-1 ", percent(accuracy.top1), ", top-5 ", percent(accuracy.top5),
      ", mean confidence ", percent(crops.confidence), " on ", accuracy.images, " clean crops",
      map != nullptr ? text(" of the ", classes, " mapped classes") : "", ", with ", keys(teacher.normalisation())));
  if (accuracy.images == 0) return out;

  if (map == nullptr && static_cast<std::size_t>(teacher.classes()) == classes)
    if (const auto order = better_order({crops.labels, crops.predictions}, index.classes)) {
      out.refusal = text("the teacher's top-1 is ", percent(accuracy.top1), " in the order of the class folders, but ",
                         percent(order->top1), " in ", order->name.empty() ? "another order" : order->name,
                         ", which is the order of its head; ", order_remedy(*order, index.classes, folder));
      return out;
    }
  const bool chance = at_chance(accuracy, classes);
  const double error = std::sqrt(accuracy.top1 * (1 - accuracy.top1) / static_cast<double>(accuracy.images));
  const bool overconfident = crops.confidence - accuracy.top1 > std::max(kMaxConfidenceGap, 3 * error);
  if (overconfident)
    out.notes.push_back(text("the teacher's mean confidence is ", percent(crops.confidence), ", but its top-1 is only ",
                             percent(accuracy.top1),
                             "; usual causes: other classes or another class order than its "
                             "head's, or another normalisation (mean, std) or size than in its training"));
  const std::string colours = chance || overconfident
                                  ? better_normalisation(teacher, views, index, count, seed, map, crops, workers, stop)
                                  : "";
  if (!colours.empty()) out.notes.push_back(colours);
  if (chance)
    out.refusal =
        text("the teacher's top-1 of ", percent(accuracy.top1), " on ", accuracy.images,
             " clean crops is at chance for ", classes, " classes; ",
             colours.empty() ? "the usual cause is a class order other than the one it was trained with, or other "
                               "preprocessing (teacher.mean, teacher.std)"
                             : colours);
  return out;
}

}  // namespace vitrine
