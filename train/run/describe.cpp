#include "train/run/describe.h"

#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/progress.h"
#include "train/data/stream.h"
#include "train/evaluation/report.h"
#include "train/run/checks.h"

namespace vitrine {

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
  const std::size_t complete = use.with_maps.size();
  for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i)
    if (const PhaseOptions& phase = *options.schedule.phases()[i];
        phase.epochs > 0 && needs_maps(phase) && complete < passes)
      note(text("schedule.", phase.name, " uses the ", counted(complete, "pass that has", "passes that have"),
                " maps, each view ", times(options.schedule.phase_epochs(i), complete)));
}

void describe_features(const TrainOptions& options, const Objective& objective, const Batches& batches,
                       const PassLists& use, int size) {
  const auto pairs = objective.pairs();
  std::string words;
  for (const auto& [track, stage] : pairs)
    words += text(words.empty() ? "" : ", ", track, " meets the student at layer", stage);
  const bool by_size = options.transformer.stage == 0 && options.transformer.stages.empty();
  if (!pairs.empty())
    note(text(words, by_size ? text(" (chosen for size = ", size,
                                    "; another size may take another layer, transformer.stage fixes it)")
                             : ""));
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

void describe_plan(const TrainOptions& options, const ImageIndex& index, const std::vector<TrackInfo>& tracks,
                   const PhaseBounds& bounds, const Evaluator& evaluator) {
  note(text("images: ", human_count(index.images.size()), " in ", counted(index.classes.size(), "class", "classes"),
            ", ", human_count(index.labelled()), " with a label"));
  for (const TrackInfo& track : tracks) note("targets: " + track.directory());
  for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i) {
    const PhaseOptions& phase = *options.schedule.phases()[i];
    if (bounds[i + 1] == bounds[i]) continue;
    std::string terms;
    const auto add = [&](bool used, const char* term) {
      if (used) terms += text(terms.empty() ? "" : ", ", term);
    };
    const bool teacher = options.targets.source != TargetKind::kNone;
    add(phase.output_term && teacher, "output");
    add(phase.feature_term && !options.targets.features.empty(), "features");
    add(phase.attention_term && !phase.freeze_student && !options.targets.attention.empty(), "attention");
    add(phase.label_term, "labels");
    note(text(phase.name, ": steps ", human_count(bounds[i] + 1), " to ", human_count(bounds[i + 1]), ", lr ", phase.lr,
              phase.schedule == LearningRate::kCosine ? text(" to ", phase.lr_end) : "", ", learns from ", terms));
  }
  const auto images_of = [](const Evaluation* images) {
    return images == nullptr ? std::string("none") : counted(images->index().images.size(), "image");
  };
  note(text("validation: ", images_of(evaluator.validation()), "; test: ", images_of(evaluator.test())));
}

void describe_memory(const TrainOptions& options, const torch::nn::Module& student, const Objective& objective,
                     const TargetShapes& shapes, int size, const PlanOptions& plan) {
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
  double view = 3.0 * size * size;
  const auto add_floats = [&view](const std::vector<std::int64_t>& shape) {
    double values = shape.empty() ? 0 : 4;
    for (const std::int64_t length : shape) values *= static_cast<double>(length);
    view += values;
  };
  add_floats(shapes.logits), add_floats(shapes.attention), add_floats(shapes.embedding);
  for (const auto& shape : shapes.features) add_floats(shape);
  const double group = view * plan.group, groups = options.workers + StreamOptions().ahead;
  note(text("memory: ", human_bytes(model), " for weights, gradients and optimizer, ",
            human_bytes(view * options.batch), " for a batch on the device, about ", human_bytes(group * groups),
            " for ", counted(static_cast<std::uint64_t>(groups), "group"),
            " in work; a step's activations come on top"));
}

}  // namespace vitrine
