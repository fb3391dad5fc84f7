#include "train/report.h"

#include <torch/torch.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
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
  if (!std::filesystem::is_directory(checkpoint)) {
    tensors = load_safetensors(checkpoint);
  } else if (std::filesystem::exists(checkpoint / "final.safetensors")) {
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
  if (folder.empty()) fail("test is not given; --evaluate needs a folder of class folders to judge on");
  const at::Device device = select_device(options.device);
  if (options.threads > 0) at::set_num_threads(static_cast<int>(options.threads));
  const Tensors weights = checkpoint_weights(checkpoint);
  const bool is_vit = weights.contains("patch_embed.proj.weight");
  if (is_vit != (options.model.kind == "vit"))
    fail(checkpoint.string(), ": holds ", is_vit ? "a ViT" : "no ViT", ", but model.kind is \"", options.model.kind,
         "\"; give the configuration that it was trained with");
  const Evaluation evaluation(folder, picture_size(options), options);
  const std::vector<std::string>& classes = evaluation.index().classes;
  ModelOptions model = options.model;
  model.weights.clear();
  Network network(model, static_cast<int>(classes.size()), device);
  load_weights(network.module(), weights, checkpoint.string());

  std::optional<TeacherJudge> teacher;
  if (!options.targets.teacher.weights.empty()) teacher.emplace(options, classes, classes.size());
  Report report{checkpoint.string(), folder, classes, Judgement(static_cast<std::int64_t>(classes.size()))};
  evaluation.visit(network, device, [&](const at::Tensor& logits, const at::Tensor& labels, std::uint32_t first) {
    at::Tensor teachers;
    if (teacher) teachers = teacher->logits(evaluation, first, static_cast<std::uint32_t>(labels.size(0)));
    report.judgement.add(logits, labels, teachers);
  });
  return report;
}

std::string as_text(const Report& report) {
  std::string out = row("class", "images", "top-1 %");
  for (std::size_t c = 0; c < report.classes.size(); ++c) {
    const Hits& hits = report.judgement.classes()[c];
    out += row(report.classes[c], std::to_string(hits.images), hits.images > 0 ? percent(hits.share()) : "-");
  }
  const Accuracy accuracy = report.judgement.accuracy();
  out += text("\n", report.checkpoint, " on ", accuracy.images, " images of ", report.images, "\n");
  out += text("top-1 ", percent(accuracy.top1), " %, top-5 ", percent(accuracy.top5), " %\n");
  out += text("calibration error ", percent(report.judgement.calibration_error()), " % (", Judgement::kBins,
              " bins; mean confidence ", percent(report.judgement.confidence()), " %)\n");
  if (const auto agreement = report.judgement.agreement())
    out += text("agrees with the teacher on ", percent(*agreement), " %\n");
  return out;
}

std::string as_json(const Report& report) {
  const Accuracy accuracy = report.judgement.accuracy();
  nlohmann::ordered_json json = {{"checkpoint", report.checkpoint},
                                 {"images_in", report.images},
                                 {"images", accuracy.images},
                                 {"top1", accuracy.top1},
                                 {"top5", accuracy.top5},
                                 {"calibration_error", report.judgement.calibration_error()},
                                 {"confidence", report.judgement.confidence()}};
  if (const auto agreement = report.judgement.agreement()) json["teacher_agreement"] = *agreement;
  for (std::size_t c = 0; c < report.classes.size(); ++c) {
    const Hits& hits = report.judgement.classes()[c];
    json["classes"].push_back({{"name", report.classes[c]}, {"images", hits.images}, {"right", hits.right}});
  }
  return json.dump(2) + "\n";
}

}  // namespace vitrine
