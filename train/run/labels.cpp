#include "train/run/labels.h"

#include <ATen/ATen.h>

#include "common/base/error.h"
#include "common/base/progress.h"

namespace vitrine {

void check_labels(const TrainOptions& options) {
  const LossOptions& loss = options.loss;
  const bool teacher = options.targets.source != TargetKind::kNone;
  if (!teacher && !options.unlabelled.empty())
    fail("unlabelled = \"", options.unlabelled,
         "\", but targets.source = \"none\" learns from labels alone; name a source, or leave these images out");
  if (options.select == Select::kAgreement && options.targets.teacher.file().empty())
    fail("select = \"agreement\" asks the teacher about the validation images; give targets.teacher.weights");
  if (options.labels == Labels::kFolders) return;
  if (!teacher)
    fail("labels = \"none\" and targets.source = \"none\" leave nothing to learn from; name a source, or use labels");
  if (loss.output == OutputForm::kDecoupled)
    fail("loss.output = \"dkd\" sets the label's class apart, but labels = \"none\"; choose \"kl\"");
  if (loss.attention == AttentionForm::kGradient && loss.guidance_score == GuidanceScore::kLabels &&
      !options.targets.attention.empty())
    fail("loss.guidance_score = \"labels\", but labels = \"none\"; set it to \"teacher\"");
}

TrainOptions without_absent_labels(TrainOptions options) {
  ScheduleOptions& schedule = options.schedule;
  if (options.labels == Labels::kNone)
    for (PhaseOptions* phase : {&schedule.align, &schedule.joint, &schedule.fine_tune}) phase->label_term = false;
  return options;
}

void describe_labels(const TrainOptions& options, const ImageIndex& index, const std::vector<TrackInfo>& tracks,
                     std::size_t classes) {
  const std::size_t images = index.images.size(), labelled = index.labelled();
  if (options.labels == Labels::kNone) {
    note(text("labels = \"none\": no label term, r = 1 in every phase, and the teacher's ", classes, " classes"));
    if (options.selection() == Select::kLast && options.select == Select::kAuto && !options.validation.empty() &&
        !tracks.empty()) {
      const TeacherRecord& teacher = tracks.front().teacher;
      note(text("warning: validation = \"", options.validation,
                "\" is not used: without labels, agreement with the teacher is measured there; set "
                "targets.teacher.weights to the file of ",
                teacher.name, " (SHA-256 ", teacher.weights_sha256.substr(0, 8),
                "...), whose other keys the cache has"));
    } else if (options.selection() == Select::kLast) {
      note(
          "no best checkpoint is selected: that needs validation images, and targets.teacher.weights for agreement "
          "or select = \"top1\" for accuracy; the last weights are the result");
    }
  } else if (labelled < images) {
    note(text(human_count(labelled), " of ", human_count(images),
              " images have a label; the label term is a mean over all views, to which only these contribute"));
  }
}

}  // namespace vitrine
