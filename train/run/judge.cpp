#include "train/run/judge.h"

#include <torch/torch.h>

#include <filesystem>
#include <string>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "train/run/left_out_list.h"

namespace vitrine {

Judge::Judge(const TrainOptions& options, const ModelClasses& classes, const Decoding& decoding, int size,
             const StopFlag& stop)
    : options_(options) {
  EvaluationOptions how = options.evaluation_options(size);
  how.decoding = decoding;
  const Select selection = options.selection();
  if (selection == Select::kTop1) validation_.emplace(*options.validation_folders(), classes, how, stop);
  if (selection == Select::kAgreement) {
    ImageFolders folders = *options.validation_folders();
    folders.labels = Labels::kNone;
    validation_.emplace(folders, how, stop);
    agreement_.emplace(options.targets, *validation_, classes.names, classes.count, stop);
  }
  if (!options.test.empty()) test_.emplace(options.test, classes, how, stop);
}

void Judge::begin(Checkpoint& state) const {
  if (!validation_) return;
  const std::string images = validation_->index().hash();
  if (state.best.there() && !state.validation_images.empty() && state.validation_images != images) {
    const std::filesystem::path best = std::filesystem::path(options_.output) / "best.safetensors";
    note(text(options_.validation_folders()->describe(),
              ": holds other images than those on which the best weights so far were selected; selection starts anew",
              path_exists(best) ? ", and the old one is now " + move_aside(best, "old").string() : ""));
    state.best = {};
  }
  state.validation_images = images;
}

// The selection criterion, in [0, 1].
double Judge::score(Student& student, Checkpoint& state, const StopFlag& stop) const {
  if (agreement_) {
    state.agreement = agreement_->run(student.network(), student.device(), stop);
    return *state.agreement;
  }
  state.validation = validation_->run(student.network(), student.device(), stop);
  return state.validation->top1;
}

bool Judge::judge(Student& student, Checkpoint& state, std::uint64_t steps_per_epoch, const StopFlag& stop) const try {
  const Student::Averaged averaged(student);
  const double score = this->score(student, state, stop);
  add_left_out_of(*validation_, options_.output);
  const std::uint64_t epoch = (state.step - 1) / steps_per_epoch + 1;
  if (score > state.best.score) {
    state.best = {agreement_ ? "agreement" : "top1", score, state.step, epoch};
    WeightsRecord best = student.record(state.step);
    best.selection = state.best.chosen_by;
    best.score = score;
    save_safetensors(std::filesystem::path(options_.output) / "best.safetensors", student.weights(), best.metadata());
  }
  state.to_judge = false;
  update_checkpoint(options_.output, state);
  const std::string words = agreement_ ? text("agrees with the teacher on ", 100 * score, " %")
                                       : text("top-1 ", 100 * score, " %, top-5 ", 100 * state.validation->top5, " %");
  note(text("epoch ", epoch, ", ", phase_at(options_.schedule, state.step - 1, steps_per_epoch).phase->name, ": ",
            words, state.best.step == state.step ? ", the best so far" : ""));
  return true;
} catch (const Stopped&) {
  return false;
}

}  // namespace vitrine
