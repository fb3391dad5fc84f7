#include "train/evaluation/report.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/base/counted.h"
#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/base/json_text.h"
#include "common/base/progress.h"
#include "common/base/utf8.h"

namespace vitrine {
namespace {

std::string row(const std::string& name, const std::string& images, const std::string& share) {
  constexpr std::size_t kWidth = 40;
  char buffer[160];
  std::snprintf(buffer, sizeof buffer, "%s %9s %9s\n", padded(cut_at_character(name, kWidth), kWidth).c_str(),
                images.c_str(), share.c_str());
  return buffer;
}

}  // namespace

std::string percent(double share) {
  return decimals(100 * share, 2);
}

std::string classes_without_images(const std::vector<std::string>& classes, std::span<const std::uint64_t> images,
                                   const std::string& owner, const std::string& image) {
  constexpr std::size_t kShown = 3;
  std::string names;
  std::size_t without = 0;
  for (std::size_t c = 0; c < classes.size(); ++c)
    if (images[c] == 0 && without++ < kShown) names += (names.empty() ? "" : ", ") + classes[c];
  if (without == 0) return {};
  return text(human_count(without), " of ", owner, " ", human_count(classes.size()), " classes ",
              without == 1 ? "has" : "have", " no ", image, ": ", names,
              without > kShown ? text(" and ", human_count(without - kShown), " more") : "");
}

std::string as_text(const Report& report) {
  std::string out;
  if (report.metrics) {
    out = row("class", "images", "top-1 %");
    std::vector<std::uint64_t> images;
    for (std::size_t c = 0; c < report.classes.size(); ++c) {
      const Hits& hits = report.metrics->classes()[c];
      images.push_back(hits.images);
      if (hits.images > 0) out += row(report.classes[c], std::to_string(hits.images), percent(hits.share()));
    }
    const std::string without = classes_without_images(report.classes, images, "the model's", "image here");
    out += without.empty() ? "\n" : without + "\n\n";
  }
  out += text(report.checkpoint, report.about.empty() ? "" : " (" + report.about + ")", " on ",
              counted(report.images, "image"), " of ", report.folder, ", computed in ", report.precision, "\n");
  if (report.metrics) {
    const Accuracy accuracy = report.metrics->accuracy();
    out += text("top-1 ", percent(accuracy.top1), " %, top-5 ", percent(accuracy.top5), " %\n");
    out +=
        text("calibration error ", percent(report.metrics->calibration_error()), " % (", ClassificationMetrics::kBins,
             " bins; mean confidence ", percent(report.metrics->confidence()), " %)\n");
  }
  if (report.agreement) out += text("agrees with the teacher on ", percent(*report.agreement), " %\n");
  if (!report.left_out.empty()) out += text("left out: ", counts_by_kind(report.left_out), "\n");
  for (const LeftOut& entry : report.left_out)
    out += text("  ", name_of(entry.kind), ": ", entry.id, ": ", entry.reason, "\n");
  return out;
}

std::string as_json(const Report& report) {
  nlohmann::ordered_json json = {{"checkpoint", report.checkpoint},
                                 {"about", report.about},
                                 {"precision", report.precision},
                                 {"images_in", report.folder},
                                 {"images", report.images}};
  if (report.metrics) {
    const Accuracy accuracy = report.metrics->accuracy();
    json["top1"] = accuracy.top1;
    json["top5"] = accuracy.top5;
    json["calibration_error"] = report.metrics->calibration_error();
    json["confidence"] = report.metrics->confidence();
  }
  if (report.agreement) json["teacher_agreement"] = *report.agreement;
  for (std::size_t c = 0; report.metrics && c < report.classes.size(); ++c) {
    const Hits& hits = report.metrics->classes()[c];
    json["classes"].push_back({{"name", report.classes[c]}, {"images", hits.images}, {"right", hits.right}});
  }
  for (const LeftOut& entry : report.left_out)
    json["left_out"].push_back({{"kind", name_of(entry.kind)}, {"path", entry.id}, {"reason", entry.reason}});
  return json_text(json);
}

}  // namespace vitrine
