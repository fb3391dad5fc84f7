#include "train/run/describe.h"

#include <torch/torch.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "train/run/checks.h"

namespace vitrine {

void describe_run(const TrainOptions& options, const Plan& plan, const PassLists& use, std::uint64_t steps) {
  const std::uint64_t views = std::uint64_t{plan.groups_per_pass()} * plan.options().group;
  const double epochs = options.schedule.run_epochs();
  const std::size_t passes = use.all.size();
  const auto times = [](double sweeps, std::size_t stored) {
    return text(sweeps / static_cast<double>(stored), " times");
  };
  note(text(human_count(steps), " steps of ", options.batch, " views; ", passes, " passes of ", human_count(views),
            " views, so each view is seen ", times(epochs, passes),
            epochs > static_cast<double>(passes) ? "; the order of the passes' views differs in each round" : ""));
  const std::size_t complete = use.with_maps.size();
  for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i)
    if (const PhaseOptions& phase = *options.schedule.phases()[i];
        phase.epochs > 0 && needs_maps(phase) && complete < passes)
      note(text("schedule.", phase.name, " uses the ", complete, " passes that have maps, each view ",
                times(options.schedule.phase_epochs(i), complete)));
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
                                    "; another size may take another layer, transformer.stage "
                                    "fixes it)")
                             : ""));
  const Batches::FeatureSteps steps = batches.feature_steps();
  if (steps.lacking == 0) return;
  const auto epochs = [&](std::uint64_t some) {
    return static_cast<double>(some) / static_cast<double>(batches.steps_per_epoch());
  };
  note(text("warning: the feature term is off in ", human_count(steps.lacking), " of the ", human_count(steps.wanted),
            " steps that ask for it (", epochs(steps.lacking), " of ", epochs(steps.wanted),
            " epochs), since the passes ", listed(without(use.all, use.with_maps)),
            " lack feature or attention maps; extract them for these passes too, or expect a weaker feature term"));
}

void describe_shared_images(const ImageIndex& training, const Evaluation* validation, const Evaluation* test) {
  std::unordered_map<std::uint64_t, const ImageEntry*> by_hash;
  for (const ImageEntry& image : training.images) by_hash.emplace(image.hash, &image);
  for (const Evaluation* judged : {validation, test}) {
    if (judged == nullptr) continue;
    const std::vector<ImageEntry>& images = judged->index().images;
    std::uint64_t shared = 0;
    const ImageEntry *first = nullptr, *twin = nullptr;
    for (const ImageEntry& image : images) {
      const auto found = by_hash.find(image.hash);
      if (found == by_hash.end() || found->second->file_bytes != image.file_bytes) continue;
      if (shared++ == 0) first = &image, twin = found->second;
    }
    if (shared > 0)
      note(text("warning: ", human_count(shared), " of the ", human_count(images.size()),
                judged == test ? " test" : " validation", " images are training images too (", first->id, " is ",
                twin->id, "); accuracy on them says little about new images"));
  }
}

}  // namespace vitrine
