#include "train/run/describe.h"

#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/progress.h"
#include "train/data/prefetch.h"
#include "train/evaluation/report.h"
#include "train/run/checks.h"
#include "train/run/learning.h"
#include "train/targets/target_options.h"

namespace vitrine {
namespace {

// The stage of a single feature track, and that of attention, follow from the size; those of several from their blocks.
void describe_pairs(const TrainOptions& options, const Objective& objective, int size) {
  std::string by_size, by_depth, given;
  const std::size_t features = feature_tracks(options.targets.features).size();
  for (const auto& [track, stage] : objective.pairs()) {
    const bool is_feature = track != options.targets.attention, has_stages = !options.transformer.stages.empty();
    std::string& words = is_feature && has_stages        ? given
                         : is_feature && features > 1    ? by_depth
                         : options.transformer.stage > 0 ? given
                                                         : by_size;
    words += text(words.empty() ? "" : ", ", track, " meets the student at layer", stage);
  }
  if (!by_depth.empty()) note(by_depth + " (chosen by the blocks' depth; transformer.stages fixes them)");
  if (!by_size.empty())
    note(text(by_size, " (chosen for size = ", size,
              "; another size may take another layer, transformer.stage fixes it)"));
  if (!given.empty()) note(given);
}

// "output, features": what the phase's weights follow.
std::string terms_of(const PhaseOptions& phase, const TargetShapes& shapes, double exits_weight) {
  std::string out;
  const auto add = [&](bool used, const char* term) {
    if (used) out += text(out.empty() ? "" : ", ", term);
  };
  const bool output = phase.output_term && !phase.freeze_student && !shapes.logits.empty();
  add(output, "output");
  add(output && exits_weight > 0, "exits");
  add(phase.feature_term && !shapes.features.empty(), "features");
  add(phase.feature_term && !shapes.embedding.empty(), "embedding");
  add(phase.attention_term && !phase.freeze_student && !shapes.attention.empty(), "attention");
  add(phase.label_term && !phase.freeze_student, "labels");
  return out;
}

// "0.1 to 0", and what lr_batch makes of it.
std::string lr_of(const PhaseOptions& phase, double factor) {
  const auto words = [&](double by) {
    return text(by * phase.lr, phase.schedule == LearningRate::kCosine ? text(" to ", by * phase.lr_end) : "");
  };
  return words(1) + (factor == 1 ? "" : text(", which lr_batch makes ", words(factor)));
}

}  // namespace

void describe_run(const TrainOptions& options, const Plan& plan, const PassLists& use, std::uint64_t steps) {
  const std::uint64_t views = std::uint64_t{plan.groups_per_pass()} * plan.options().group;
  const double epochs = options.schedule.run_epochs();
  const std::size_t passes = use.all.size();
  const auto times = [](double sweeps, std::size_t stored) {
    const double count = sweeps / static_cast<double>(stored);
    return count == 1 ? std::string("once") : text(count, " times");
  };
  note(text(counted(steps, "step"), " of ", counted(options.batch, "view"), "; ", counted(passes, "pass", "passes"),
            " of ", counted(views, "view"), ", so each view is seen ", times(epochs, passes),
            epochs > static_cast<double>(passes) ? "; the order of the passes' views differs in each round" : ""));
  const bool fixed = options.targets.source == TargetKind::kCache;
  if (const auto warning = repeated_views_warning(epochs / static_cast<double>(passes),
                                                  fixed ? "extract more passes" : "raise targets.passes"))
    note("warning: " + *warning);
  const std::size_t complete = use.with_maps.size();
  for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i)
    if (const PhaseOptions& phase = *options.schedule.phases()[i];
        phase.epochs > 0 && needs_maps(phase) && complete < passes)
      note(text("schedule.", phase.name, " uses the ", counted(complete, "pass that has", "passes that have"),
                " maps, each view ", times(options.schedule.phase_epochs(i), complete)));
}

void describe_features(const TrainOptions& options, const Objective& objective, const Batches& batches,
                       const PassLists& use, int size) {
  describe_pairs(options, objective, size);
  const Batches::FeatureSteps steps = batches.feature_steps();
  if (steps.lacking == 0) return;
  const auto epochs = [&](std::uint64_t some) {
    return static_cast<double>(some) / static_cast<double>(batches.steps_per_epoch());
  };
  const auto bare = without(use.all, use.with_maps);
  note(text("warning: the feature term is off in ", human_count(steps.lacking), " of the ", human_count(steps.wanted),
            " steps that ask for it (", epochs(steps.lacking), " of ", epochs(steps.wanted), " epochs), since ",
            bare.size() == 1 ? "pass " : "the passes ", listed(bare), bare.size() == 1 ? " lacks" : " lack",
            " feature or attention maps; extract them for ", bare.size() == 1 ? "this pass" : "these passes",
            " too, or expect a weaker feature term"));
}

void describe_shared_images(const ImageIndex& training, const Evaluation* validation, const Evaluation* test) {
  std::unordered_map<std::uint64_t, const ImageEntry*> by_hash;
  for (const ImageEntry& image : training.images) by_hash.emplace(image.hash, &image);
  for (const Evaluation* evaluation : {validation, test}) {
    if (evaluation == nullptr) continue;
    const std::vector<ImageEntry>& images = evaluation->index().images;
    std::uint64_t shared = 0;
    const ImageEntry *first = nullptr, *twin = nullptr;
    for (const ImageEntry& image : images) {
      const auto found = by_hash.find(image.hash);
      if (found == by_hash.end() || found->second->file_bytes != image.file_bytes) continue;
      if (shared++ == 0) first = &image, twin = found->second;
    }
    if (shared > 0)
      note(text("warning: ", human_count(shared), " of the ", human_count(images.size()),
                evaluation == test ? " test" : " validation",
                shared == 1 ? " images is a training image too (" : " images are training images too (", first->id,
                " is ", twin->id, "); accuracy on them says little about new images"));
  }
}

void describe_missing_classes(const Evaluation* validation, const Evaluation* test) {
  for (const Evaluation* evaluation : {validation, test}) {
    if (evaluation == nullptr) continue;
    const std::vector<std::string>& classes = evaluation->index().classes;
    std::vector<std::uint64_t> images(classes.size());
    for (const ImageEntry& image : evaluation->index().images)
      if (image.label != kNoLabel) ++images.at(image.label);
    const std::string without = classes_without_images(classes, images, "the student's",
                                                       evaluation == test ? "test image" : "validation image");
    if (!without.empty()) note(without + "; accuracy there says nothing about them");
  }
}

void describe_plan(const TrainOptions& options, const ImageIndex& index, const TargetSource& source,
                   const PhaseBounds& bounds, const Evaluator& evaluator) {
  note(text("images: ", human_count(index.images.size()), " in ", counted(index.classes.size(), "class", "classes"),
            ", ", human_count(index.labelled()), " with a label"));
  for (const TrackInfo& track : source.tracks()) note("targets: " + track.directory());
  for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i) {
    const PhaseOptions& phase = *options.schedule.phases()[i];
    if (bounds[i + 1] == bounds[i]) continue;
    note(text(phase.name, ": steps ", human_count(bounds[i] + 1), " to ", human_count(bounds[i + 1]), ", lr ",
              lr_of(phase, options.lr_factor()), ", learns from ",
              terms_of(phase, source.shapes(), options.loss.exits_weight)));
  }
  const auto images_of = [](const Evaluation* images) {
    return images == nullptr ? std::string("none") : counted(images->index().images.size(), "image");
  };
  note(text("validation: ", images_of(evaluator.validation()), "; test: ", images_of(evaluator.test())));
}

void describe_memory(const TrainOptions& options, const torch::nn::Module& student, const Objective& objective,
                     const TargetSource& source, int size) {
  const auto bytes_of = [](const std::vector<at::Tensor>& tensors) {
    double bytes = 0;
    for (const at::Tensor& tensor : tensors) bytes += static_cast<double>(tensor.nbytes());
    return bytes;
  };
  double learning = bytes_of(student.parameters());
  for (const auto& [name, module] : objective.modules()) learning += bytes_of(module->parameters());
  const double moments = options.optimizer.kind == OptimizerKind::kAdamW ? 2 : 1;
  const double average = options.ema.decay > 0 ? bytes_of(student.parameters()) : 0;
  const double model = learning * (2 + moments) + average;  // weights and gradients, moments
  const auto batch = static_cast<double>(options.batch * batch_view_bytes(source.shapes(), size));
  const std::uint32_t groups = groups_ahead(options.batch_options(size).stream(), source, available_memory());
  note(text("memory: ", human_bytes(model), " for weights, gradients and optimizer, ", human_bytes(batch),
            " for a batch on the device, about ",
            human_bytes(static_cast<double>(groups * group_batch_bytes(source, size))), " for ",
            counted(groups, "group"), " in work; a step's activations come on top"));
}

}  // namespace vitrine
