#include "train/report.h"

#include <torch/torch.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/cache/cache.h"
#include "common/models/device.h"
#include "common/models/load.h"
#include "train/agreement.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/network.h"

namespace vitrine {
namespace {

/// Tensors below "PART." without that, or none.
Tensors part(const Tensors& tensors, const std::string& name) {
  Tensors out;
  for (const auto& [key, tensor] : tensors)
    if (key.starts_with(name + ".")) out.emplace(key.substr(name.size() + 1), tensor);
  return out;
}

/// The student's side: as given, or the teacher's.
int picture_size(const TrainOptions& options) {
  if (options.size > 0) return static_cast<int>(options.size);
  if (options.targets.source == TargetKind::kCache && !options.targets.cache.empty())
    return static_cast<int>(Cache(options.targets.cache).plan().options().image_size);
  return static_cast<int>(options.plan.image_size);
}

/// How many classes the model of these weights tells apart.
std::int64_t outputs(const Tensors& weights, const std::filesystem::path& checkpoint) {
  for (const char* name : {"fc.weight", "head.weight"})
    if (const auto found = weights.find(name); found != weights.end() && found->second.dim() == 2)
      return found->second.size(0);
  fail(checkpoint.string(), ": has neither fc.weight nor head.weight; give a classifier's checkpoint");
}

std::string row(const std::string& name, const std::string& images, const std::string& share) {
  char buffer[160];
  std::snprintf(buffer, sizeof buffer, "%-40.40s %9s %9s\n", name.c_str(), images.c_str(), share.c_str());
  return buffer;
}

std::string percent(double share) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2f", 100 * share);
  return buffer;
}

}  // namespace

Tensors checkpoint_weights(const std::filesystem::path& checkpoint) {
  Tensors tensors;
  if (!directory_exists(checkpoint)) {
    tensors = load_safetensors(checkpoint);
  } else if (path_exists(checkpoint / "final.safetensors")) {
    return load_safetensors(checkpoint / "final.safetensors");
  } else if (std::optional<Checkpoint> last = load_checkpoint(checkpoint)) {
    tensors = std::move(last->tensors);
  } else {
    fail(checkpoint.string(),
         ": holds neither final.safetensors nor last.json; give a run's directory or a .safetensors file");
  }
  Tensors average = part(tensors, "average");
  average.erase("updates");
  if (!average.empty()) return average;
  Tensors model = part(tensors, "model");
  return model.empty() ? tensors : model;
}

Report evaluate_checkpoint(const TrainOptions& options, const std::filesystem::path& checkpoint) {
  const std::string folder = options.test.empty() ? options.validation : options.test;
  if (folder.empty()) fail("test is not given; --evaluate needs a folder of images to judge on");
  const at::Device device = select_device(options.device);
  if (options.threads > 0) at::set_num_threads(static_cast<int>(options.threads));
  const Tensors weights = checkpoint_weights(checkpoint);
  const bool is_vit = weights.contains("patch_embed.proj.weight");
  if (is_vit != (options.model.kind == "vit"))
    fail(checkpoint.string(), ": holds ", is_vit ? "a ViT" : "no ViT", ", but model.kind is \"", options.model.kind,
         "\"; give the configuration that it was trained with");
  const bool labelled = options.labels != Labels::kNone, taught = !options.targets.teacher.weights.empty();
  if (!labelled && !taught)
    fail(
        "labels = \"none\" leaves --evaluate agreement with the teacher alone, and targets.teacher.weights is not "
        "given; give it, or labels");
  const Evaluation evaluation({folder, {}, options.labels}, picture_size(options), options);
  const std::vector<std::string>& names = evaluation.index().classes;
  const auto classes = labelled ? static_cast<std::int64_t>(names.size()) : outputs(weights, checkpoint);
  ModelOptions model = options.model;
  model.weights.clear();
  Network network(model, static_cast<int>(classes), device);
  load_weights(network.module(), weights, checkpoint.string());

  Report report{checkpoint.string(), folder, evaluation.index().images.size(), names, std::nullopt, std::nullopt};
  if (!labelled) {
    report.agreement = Agreement(options, evaluation, names, static_cast<std::size_t>(classes)).run(network, device);
    return report;
  }
  std::optional<TeacherJudge> teacher;
  if (taught) teacher.emplace(options, names, names.size());
  Judgement& judgement = report.judgement.emplace(classes);
  evaluation.visit(network, device, [&](const at::Tensor& logits, const at::Tensor& labels, std::uint32_t first) {
    at::Tensor teachers;
    if (teacher) teachers = teacher->logits(evaluation, first, static_cast<std::uint32_t>(labels.size(0)));
    judgement.add(logits, labels, teachers);
  });
  report.agreement = judgement.agreement();
  return report;
}

std::string as_text(const Report& report) {
  std::string out;
  if (report.judgement) {
    out = row("class", "images", "top-1 %");
    for (std::size_t c = 0; c < report.classes.size(); ++c) {
      const Hits& hits = report.judgement->classes()[c];
      out += row(report.classes[c], std::to_string(hits.images), hits.images > 0 ? percent(hits.share()) : "-");
    }
    out += "\n";
  }
  out += text(report.checkpoint, " on ", report.images, " images of ", report.folder, "\n");
  if (report.judgement) {
    const Accuracy accuracy = report.judgement->accuracy();
    out += text("top-1 ", percent(accuracy.top1), " %, top-5 ", percent(accuracy.top5), " %\n");
    out += text("calibration error ", percent(report.judgement->calibration_error()), " % (", Judgement::kBins,
                " bins; mean confidence ", percent(report.judgement->confidence()), " %)\n");
  }
  if (report.agreement) out += text("agrees with the teacher on ", percent(*report.agreement), " %\n");
  return out;
}

std::string as_json(const Report& report) {
  nlohmann::ordered_json json = {
      {"checkpoint", report.checkpoint}, {"images_in", report.folder}, {"images", report.images}};
  if (report.judgement) {
    const Accuracy accuracy = report.judgement->accuracy();
    json["top1"] = accuracy.top1;
    json["top5"] = accuracy.top5;
    json["calibration_error"] = report.judgement->calibration_error();
    json["confidence"] = report.judgement->confidence();
  }
  if (report.agreement) json["teacher_agreement"] = *report.agreement;
  for (std::size_t c = 0; report.judgement && c < report.classes.size(); ++c) {
    const Hits& hits = report.judgement->classes()[c];
    json["classes"].push_back({{"name", report.classes[c]}, {"images", hits.images}, {"right", hits.right}});
  }
  return json.dump(2) + "\n";
}

}  // namespace vitrine
