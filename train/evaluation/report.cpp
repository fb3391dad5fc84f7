#include "train/evaluation/report.h"

#include <tbb/global_control.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/models/device.h"
#include "common/models/precision.h"
#include "common/models/load.h"
#include "common/kernels/normalise.h"
#include "train/evaluation/agreement.h"
#include "train/run/checkpoint.h"
#include "train/evaluation/evaluate.h"
#include "train/student/network.h"
#include "train/student/weights_record.h"

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

std::string percent(double share) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2f", 100 * share);
  return buffer;
}

// "step 120, chosen by top1 (14.00 %)".
std::string words_of(const WeightsRecord& record) {
  std::string out = text("step ", record.step);
  if (record.score)
    out += text(", chosen by ", record.selection, " on the validation images (", percent(*record.score), " %)");
  return out;
}

// The options for weights that know themselves. What the options leave at its default says nothing.
TrainOptions as_recorded(TrainOptions options, const WeightsRecord& record, const std::string& file) {
  const TrainOptions usual;
  std::string differs;
  const auto hold = [&](const char* key, const auto& given, const auto& by_default, const auto& theirs) {
    if (given != by_default && given != theirs)
      differs += text(differs.empty() ? "" : ", ", key, " = ", given, " (its: ", theirs, ")");
  };
  hold("model.kind", options.model.kind, usual.model.kind, record.model.kind);
  if (record.model.kind == "vit" && options.model.kind == "vit") {
    const VitOptions given = resolve(options.model.vit), by_default = resolve(usual.model.vit),
                     &theirs = record.model.vit;
    hold("model.vit.image_size", given.image_size, by_default.image_size, theirs.image_size);
    hold("model.vit.patch", given.patch, by_default.patch, theirs.patch);
    hold("model.vit.dim", given.dim, by_default.dim, theirs.dim);
    hold("model.vit.depth", given.depth, by_default.depth, theirs.depth);
    hold("model.vit.heads", given.heads, by_default.heads, theirs.heads);
    hold("model.vit.mlp_ratio", given.mlp_ratio, by_default.mlp_ratio, theirs.mlp_ratio);
  } else if (record.model.kind == "resnet") {
    hold("model.arch", options.model.arch, usual.model.arch, record.model.arch);
    hold("model.width", options.model.width, usual.model.width, record.model.width);
  }
  if (!differs.empty())
    throw Error(ErrorKind::kInput,
                {.path = file,
                 .what = "its weights are of another model than the configuration's: " + differs,
                 .remedy = "leave these keys out, or give the configuration that it was trained with"});
  options.model = record.model;
  const auto take = [&](const char* key, auto& given, const auto& by_default, const auto& theirs, const auto& words) {
    if (given == by_default) given = theirs;
    if (given != theirs)
      note(text(file, ": was trained with ", key, " = ", words(theirs), "; judged with ", words(given),
                ", as configured"));
  };
  const auto number = [](const auto& value) { return text(value); };
  take("size", options.size, usual.size, record.size, number);
  take("mean", options.mean, usual.mean, record.mean, colour_words);
  take("deviation", options.deviation, usual.deviation, record.deviation, colour_words);
  take("crop_fraction", options.crop_fraction, usual.crop_fraction, record.crop_fraction, number);
  take("precision", options.precision, usual.precision, record.precision, number);
  return options;
}

std::string row(const std::string& name, const std::string& images, const std::string& share) {
  char buffer[160];
  std::snprintf(buffer, sizeof buffer, "%-40.40s %9s %9s\n", name.c_str(), images.c_str(), share.c_str());
  return buffer;
}

}  // namespace

std::filesystem::path weights_file(const std::filesystem::path& checkpoint) {
  if (!directory_exists(checkpoint)) return checkpoint;
  for (const char* name : {"best.safetensors", "final.safetensors"})
    if (path_exists(checkpoint / name)) return checkpoint / name;
  if (const std::optional<Checkpoint> last = read_checkpoint(checkpoint)) return checkpoint / last->tensors_file;
  fail(checkpoint.string(),
       ": holds none of best.safetensors, final.safetensors and last.json; give a run's directory or a .safetensors "
       "file");
}

Tensors checkpoint_weights(const std::filesystem::path& file) {
  Tensors tensors = load_safetensors(file);
  Tensors average = part(tensors, "average");
  average.erase("updates");
  if (!average.empty()) return average;
  Tensors model = part(tensors, "model");
  return model.empty() ? tensors : model;
}

Report evaluate_checkpoint(const TrainOptions& given, const std::filesystem::path& checkpoint, bool configured,
                           const StopFlag& stop) {
  const std::string folder = given.test.empty() ? given.validation : given.test;
  if (folder.empty())
    fail("there are no images to judge on; give them with --images DIR, or a configuration with test or validation");
  if (!given.targets.teacher.weights.empty()) select_device(given.targets.teacher.device);
  const at::Device device = select_device(given.device);
  if (given.threads > 0) at::set_num_threads(static_cast<int>(given.threads));
  const std::filesystem::path file = weights_file(checkpoint);
  const Tensors weights = checkpoint_weights(file);
  const std::optional<WeightsRecord> record = WeightsRecord::parse(load_safetensors_metadata(file), file.string());
  if (!record && !configured)
    throw Error(ErrorKind::kInput,
                {.path = file.string(),
                 .what = "does not say which model its weights are of (another program or an older "
                         "version wrote it)",
                 .remedy = "give the configuration that it was trained with: vitrine-train CONFIG.toml "
                           "--evaluate FILE"});
  const TrainOptions options = record ? as_recorded(given, *record, file.string()) : given;
  const PrecisionScope precision(options.precision, device, "precision");
  const bool is_vit = weights.contains("patch_embed.proj.weight");
  if (is_vit != (options.model.kind == "vit"))
    fail(file.string(), ": holds ", is_vit ? "a ViT" : "no ViT", ", but model.kind is \"", options.model.kind,
         "\"; give the configuration that it was trained with");
  const bool labelled = options.labels != Labels::kNone, taught = !options.targets.teacher.weights.empty();
  if (!labelled && !taught)
    fail(
        "labels = \"none\" leaves --evaluate agreement with the teacher alone, and targets.teacher.weights is not "
        "given; give it, or labels");
  const std::size_t usual = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                    std::max<std::size_t>(usual, options.workers));
  const int size = picture_size(options);
  const std::int64_t classes = outputs(weights, file);
  const ModelClasses known{record ? record->classes : std::vector<std::string>(), static_cast<std::size_t>(classes),
                           file.string()};
  const Evaluation evaluation = labelled ? Evaluation(folder, known, size, options, stop)
                                         : Evaluation(ImageFolders(folder, {}, Labels::kNone), size, options, stop);
  const std::vector<std::string>& names = labelled ? evaluation.index().classes : known.names;
  ModelOptions model = options.model;
  model.weights.clear();
  Network network(model, static_cast<int>(classes), device);
  load_weights(network.module(), weights, file.string());

  Report report;
  report.checkpoint = file.string();
  report.folder = folder;
  report.about = record ? words_of(*record) : "";
  if (labelled) report.classes = names;
  const auto count_images = [&] {
    report.left_out = evaluation.left_out();
    report.images = evaluation.index().images.size() - static_cast<std::uint64_t>(std::ranges::count(
                                                           report.left_out, LeftOutKind::kFailedLater, &LeftOut::kind));
  };
  if (!labelled) {
    report.agreement =
        Agreement(options, evaluation, names, static_cast<std::size_t>(classes), stop).run(network, device, stop);
    count_images();
    return report;
  }
  std::optional<TeacherJudge> teacher;
  if (taught) teacher.emplace(options, names, names.size());
  Judgement& judgement = report.judgement.emplace(classes);
  const auto add = [&](at::Tensor logits, at::Tensor labels, std::span<const std::uint32_t> images) {
    if (!teacher) return judgement.add(logits, labels, {});
    const TeacherJudge::Judged judged = teacher->logits(evaluation, images);
    if (judged.images.empty()) return;
    if (judged.images.size() < images.size()) {  // one that the student could still read
      std::vector<std::int64_t> rows;
      for (const std::uint32_t image : judged.images) rows.push_back(std::ranges::find(images, image) - images.begin());
      const at::Tensor both = at::tensor(rows, at::kLong).to(device);
      logits = logits.index_select(0, both), labels = labels.index_select(0, both);
    }
    judgement.add(logits, labels, judged.logits);
  };
  evaluation.visit(network, device, add, stop);
  report.agreement = judgement.agreement();
  count_images();
  return report;
}

std::string as_text(const Report& report) {
  std::string out;
  if (report.judgement) {
    out = row("class", "images", "top-1 %");
    std::size_t without = 0;
    for (std::size_t c = 0; c < report.classes.size(); ++c) {
      const Hits& hits = report.judgement->classes()[c];
      if (hits.images == 0) {
        ++without;
        continue;
      }
      out += row(report.classes[c], std::to_string(hits.images), percent(hits.share()));
    }
    if (without > 0) out += text(without, " of the model's ", report.classes.size(), " classes have no image here\n");
    out += "\n";
  }
  out += text(report.checkpoint, report.about.empty() ? "" : " (" + report.about + ")", " on ", report.images,
              " images of ", report.folder, "\n");
  if (report.judgement) {
    const Accuracy accuracy = report.judgement->accuracy();
    out += text("top-1 ", percent(accuracy.top1), " %, top-5 ", percent(accuracy.top5), " %\n");
    out += text("calibration error ", percent(report.judgement->calibration_error()), " % (", Judgement::kBins,
                " bins; mean confidence ", percent(report.judgement->confidence()), " %)\n");
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
                                 {"images_in", report.folder},
                                 {"images", report.images}};
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
  for (const LeftOut& entry : report.left_out)
    json["left_out"].push_back({{"kind", name_of(entry.kind)}, {"path", entry.id}, {"reason", entry.reason}});
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace vitrine
