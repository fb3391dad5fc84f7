#include "train/run/checks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "common/base/error.h"
#include "common/base/progress.h"

namespace vitrine {

std::string listed(const std::vector<std::uint32_t>& numbers) {
  constexpr std::size_t kShown = 8;
  std::string out;
  for (std::size_t i = 0; i < std::min(kShown, numbers.size()); ++i) out += text(i > 0 ? ", " : "", numbers[i]);
  return numbers.size() > kShown ? out + ", ..." : out;
}

std::vector<std::uint32_t> without(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  std::vector<std::uint32_t> out;
  std::ranges::set_difference(a, b, std::back_inserter(out));
  return out;
}

void check_phases(const TrainOptions& options, const TargetShapes& shapes, const PassLists& passes) {
  for (const PhaseOptions* phase : options.schedule.phases()) {
    if (phase->epochs == 0) continue;
    const bool student = !phase->freeze_student;  // else only what is between it and the teacher's features learns
    const bool attention = student && phase->attention_term && !shapes.attention.empty() &&
                           options.loss.attention != AttentionForm::kGradientScaling;
    const bool output = student && phase->output_term && !shapes.logits.empty();
    const bool label = student && phase->label_term;
    const bool asked = phase->feature_term && (student || phase->train_transformer);
    const bool feature = asked && !(shapes.features.empty() && shapes.embedding.empty());
    if (!output && !attention && !label && !feature) {
      if (asked && needs_maps(*phase))
        fail("schedule.", phase->name,
             " learns from features alone, but targets.features names no track and targets.embedding is false; name "
             "one or set schedule.",
             phase->name, ".epochs = 0");
      fail("schedule.", phase->name, " has nothing to learn from: its terms are off or their targets are missing",
           options.labels == Labels::kNone ? " (labels = \"none\")" : "",
           student ? "; enable a term, or set schedule."
                   : "; with freeze_student, enable feature_term and train_transformer, or set schedule.",
           phase->name, ".epochs = 0");
    }
    if ((needs_maps(*phase) ? passes.with_maps : passes.all).empty())
      fail("no pass is complete in every track that schedule.", phase->name,
           " needs; let vitrine-extract finish, or train without these tracks");
  }
}

void check_batch_norm(const TrainOptions& options, int size) {
  if (options.model.kind != "resnet") return;
  const int side = (size + 31) / 32;  // of layer4
  const auto refuse = [&](const char* key, std::uint32_t views, const std::string& remedy) {
    if (side == 1 && views == 1)
      fail("size = ", size, " leaves layer4 a single position, and ", key,
           " = 1 a single view: BatchNorm needs more than one value of a channel; set ", key,
           " = 2 or more, size = 33 or more, or ", remedy);
  };
  const bool whole = options.micro_batch == options.batch;
  for (const PhaseOptions* phase : options.schedule.phases())
    if (phase->epochs > 0 && !phase->freeze_student && !phase->freeze_batch_norm)
      refuse(whole ? "batch" : "micro_batch", options.micro_batch,
             text("schedule.", phase->name, ".freeze_batch_norm = true"));
  if (options.batch_norm_batches > 0)
    refuse(whole ? "batch" : "micro_batch", options.micro_batch, "batch_norm_batches = 0");
}

void check_vit_size(const ModelOptions& model, int size) {
  if (model.kind != "vit") return;
  if (const int own = resolve(model.vit).image_size; own != size)
    fail("the student's pictures have ", size, " pixels a side, but its ViT takes ", own,
         "; set size (0: the plan's image_size) and model.vit.image_size to the same number");
}

void check_finite(const Tensors& tensors, std::uint64_t steps, const PhaseOptions& phase) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> all;
  for (const auto& [name, tensor] : tensors)
    if (tensor.is_floating_point()) all.push_back(tensor);
  if (all.empty()) return;
  const at::Tensor largest = at::stack(at::_foreach_norm(all, std::numeric_limits<double>::infinity()));
  if (!at::isfinite(largest).all().item<bool>())
    fail("the weights are not finite after step ", steps, " (", phase.name, "); lower schedule.", phase.name,
         ".lr, or set clip_norm");
}

PassLists choose_passes(const TrainOptions& options, const TargetSource& source, std::optional<Checkpoint>& resumed) {
  if (resumed && resumed->plan_hash != source.plan().hash())
    fail(options.output, ": the checkpoint was made on the plan ", resumed->plan_hash, ", this run has ",
         source.plan().hash(), "; resume with the same images and cache, or choose another output");
  const PassLists now = passes_of(source);
  if (options.targets.source != TargetKind::kCache) return now;  // determined by the schedule
  if (!resumed || !resumed->passes || *resumed->passes == now) return now;
  const PassLists& kept = *resumed->passes;
  for (const std::vector<std::uint32_t>& lost : {without(kept.all, now.all), without(kept.with_maps, now.with_maps)})
    if (!lost.empty())
      fail(options.output, ": the run uses pass ", listed(lost),
           ", which is no longer complete in its tracks; resume with the cache as it was, or choose another output");
  const std::vector<std::uint32_t> more = without(now.all, kept.all), maps = without(now.with_maps, kept.with_maps);
  const std::string words =
      more.empty() ? text("maps of the passes ", listed(maps)) : text("the passes ", listed(more));
  if (options.new_passes) {
    resumed->changes.push_back(text("from step ", resumed->step + 1, " on with ", words, ", which are new"));
    note(text("continuing with ", words, ", which are new; the order of views changes from here on"));
    return now;
  }
  note(text(words,
            " have come since the run began; its epochs keep their order without them (new_passes = true takes "
            "them)"));
  return kept;
}

}  // namespace vitrine
