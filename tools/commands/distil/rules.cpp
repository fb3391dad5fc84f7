#include "tools/commands/distil/rules.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/progress.h"

namespace vitrine {
namespace {

// Sizes of a data set at which a rule changes. Few: hundreds to thousands of photos, where overfitting rules.
constexpr std::uint64_t kFew = 5'000, kSome = 50'000, kMany = 500'000;

// Epochs: a patient student is the better one (Beyer 2022), and a small data set needs more sweeps for as many steps.
constexpr std::uint32_t kMinEpochs = 30, kMaxEpochs = 300;
constexpr double kEpochsOfOneImage = 3000;
// With less time than that, first the pictures get smaller, down to half the teacher's size, then the epochs fewer.
constexpr std::uint32_t kEpochsWorthAPicture = 20, kFewestEpochs = 5;

constexpr double kMostEpochsOfAPhase = 1e6;  // that vitrine-train takes

// Half as many passes as epochs lose nothing, a fifth one or two points, a sixteenth nine (train/RESULTS.md).
constexpr std::uint32_t kMostPasses = 32;

constexpr double kMargin = 1.15;      // times vary, and validation takes some
constexpr double kShareOfDisk = 0.9;  // of the free space
// Copies of the weights in a run's directory: a checkpoint has weights, momentum and EMA, and two exist while one
// replaces the other; exported are the best, the last and the ONNX file, and one is being written.
constexpr double kWeightsOfRun = 10;
constexpr std::uint32_t kSizeStep = 32;  // a ResNet's stride

std::uint32_t usual_epochs(std::uint64_t images) {
  const double epochs = kEpochsOfOneImage / std::sqrt(static_cast<double>(std::max<std::uint64_t>(1, images)));
  return std::clamp(static_cast<std::uint32_t>(std::lround(epochs)), kMinEpochs, kMaxEpochs);
}

std::uint32_t usual_passes(std::uint32_t epochs) {
  return std::clamp((epochs + 1) / 2, 1u, kMostPasses);
}

// Of an image in one epoch of the student.
double epoch_seconds(const DistilFacts& facts, std::uint32_t size) {
  const double scale = static_cast<double>(size) / facts.teacher_size;
  return facts.data_seconds + facts.step_seconds * scale * scale;
}

// As many as take as long as cache and student. Its epoch is of the labelled images alone.
double epochs_of_baseline(const DistilFacts& facts, std::uint32_t passes, double epochs, std::uint32_t size) {
  const double epoch = epoch_seconds(facts, size);
  const double of_all = epochs + (epoch > 0 ? passes * facts.extract_seconds / epoch : 0);
  const double labelled = static_cast<double>(std::max<std::uint64_t>(1, facts.labelled));
  return std::min(kMostEpochsOfAPhase, std::ceil(of_all * static_cast<double>(facts.images) / labelled));
}

double seconds_of(const DistilFacts& facts, bool baseline, std::uint32_t passes, std::uint32_t epochs,
                  std::uint32_t size) {
  const double epoch = epoch_seconds(facts, size);
  double work = static_cast<double>(facts.images) * (passes * facts.extract_seconds + epochs * epoch);
  if (baseline) work += static_cast<double>(facts.labelled) * epochs_of_baseline(facts, passes, epochs, size) * epoch;
  return facts.once_seconds + kMargin * work;
}

struct Length {
  std::uint32_t passes, epochs, size;
  std::string why_passes, why_epochs, why_size;
};

// The longest run that fits into the hours.
Length fit_into(const DistilFacts& facts, const DistilFixed& fixed, std::uint32_t most_passes) {
  const auto passes_of = [&](std::uint32_t epochs) {
    return fixed.passes > 0 ? fixed.passes : std::min(usual_passes(epochs), most_passes);
  };
  const std::uint32_t usual = fixed.epochs > 0 ? fixed.epochs : usual_epochs(facts.images);
  Length out{passes_of(usual), usual, fixed.size > 0 ? fixed.size : facts.teacher_size, "half of the epochs", "", ""};
  out.why_epochs = text("as ", human_count(facts.images), " images need");
  out.why_size = "the teacher's";
  if (fixed.hours > 0) {
    const double limit = 3600 * fixed.hours;
    const auto fits = [&](std::uint32_t epochs, std::uint32_t size) {
      return seconds_of(facts, fixed.baseline, passes_of(epochs), epochs, size) <= limit;
    };
    const std::uint32_t least = fixed.epochs > 0 ? fixed.epochs : std::min(usual, kFewestEpochs);
    const std::uint32_t worth = fixed.epochs > 0 ? fixed.epochs : std::min(usual, kEpochsWorthAPicture);
    const std::uint32_t smallest =
        fixed.size > 0 ? fixed.size : std::min(facts.teacher_size, std::max(96u, facts.teacher_size / 2));
    while (!fits(worth, out.size) && out.size >= smallest + kSizeStep) {
      out.size -= kSizeStep;
      out.why_size = text("smaller than the teacher's ", facts.teacher_size, ", so that ", worth, " epochs fit into ",
                          human_time(limit));
    }
    while (!fits(out.epochs, out.size) && out.epochs > least) {
      --out.epochs;
      out.why_epochs = text("as many as fit into ", human_time(limit));
    }
    if (!fits(out.epochs, out.size))
      fail(human_time(limit), " are not enough: ", out.epochs, " epochs and ", passes_of(out.epochs),
           " passes at size ", out.size, fixed.baseline ? " and the baseline" : "", " take about ",
           human_time(seconds_of(facts, fixed.baseline, passes_of(out.epochs), out.epochs, out.size)),
           "; give --hours more, ", fixed.baseline ? "no --baseline, " : "",
           "a smaller --student, fewer photos, or a GPU (--device cuda)");
    out.passes = passes_of(out.epochs);
    if (out.epochs < worth && out.size < facts.teacher_size)
      out.why_size = text("as small as the teacher's ", facts.teacher_size, " allows, for more epochs");
  }
  if (out.passes == kMostPasses) out.why_passes = "more gain nothing";
  if (out.passes == most_passes && most_passes < kMostPasses) out.why_passes = "as many as the disk has room for";
  if (fixed.passes > 0) out.why_passes = "as given";
  if (fixed.epochs > 0) out.why_epochs = "as given";
  if (fixed.size > 0) out.why_size = "as given";
  return out;
}

double bytes_of_run(const DistilFacts& facts, const DistilFixed& fixed) {
  return kWeightsOfRun * facts.weight_bytes * (fixed.baseline ? 2 : 1);
}

void check_disk_of_run(const DistilFacts& facts, const DistilFixed& fixed) {
  if (facts.one_disk || !facts.run_free_bytes) return;
  const auto free = static_cast<double>(*facts.run_free_bytes);
  if (const double needed = bytes_of_run(facts, fixed); needed > kShareOfDisk * free)
    fail("checkpoints and exported weights need about ", human_bytes(needed), ", and the disk of --out has ",
         human_bytes(free), " free; make room there, or give --out on another disk");
}

// The number of passes that the disk has room for.
std::uint32_t passes_on_disk(const DistilFacts& facts, const DistilFixed& fixed) {
  const double pass = facts.view_bytes * static_cast<double>(facts.images);
  if (!facts.free_bytes || pass <= 0) return kMostPasses;
  const auto free = static_cast<double>(*facts.free_bytes);
  const double beside = facts.one_disk ? bytes_of_run(facts, fixed) : 0;
  const double most = std::floor(std::min(kShareOfDisk * free, free - beside) / pass);
  const std::uint32_t least = most < 1 ? 1 : std::max(1u, fixed.passes);
  if (most < least)
    fail("the cache needs ", human_bytes(least * pass), " for ", counted(least, "pass", "passes"),
         beside > 0 ? text(", checkpoints and exported weights need about ", human_bytes(beside)) : "",
         ", and its disk has ", human_bytes(free), " free; make room there, or give --cache on another disk",
         least > 1 ? ", or fewer --passes" : "");
  return static_cast<std::uint32_t>(std::min<double>(most, kMostPasses));
}

std::uint32_t batch_size(std::uint64_t images, bool gpu) {
  if (images < 2'000) return 32;
  if (images < 20'000) return 64;
  if (images < kMany && !gpu) return 128;
  return 256;
}

// A pass fills up its last group.
std::uint64_t pass_views(std::uint64_t images, std::uint64_t group) {
  return (std::max<std::uint64_t>(1, images) + group - 1) / group * group;
}

// Of a student that begins untrained.
double usual_lr(std::uint32_t batch) {
  return 0.05 * std::max(1.0, batch / 64.0);
}

// Sets group and batch. An epoch is of whole groups, of which the last one is filled up, and of whole batches.
void choose_batch(const DistilFacts& facts, const DistilFixed& fixed, DistilChoice& out) {
  constexpr std::uint64_t kLargestGroup = 65536;
  const std::uint64_t group = group_size(facts.images, facts.module_batch);
  const std::uint64_t most = pass_views(facts.images, group);
  if (fixed.batch > most)
    fail("--batch ", fixed.batch, " is larger than a pass over ", human_count(facts.images), " photos; give --batch ",
         most, " or less");
  if (fixed.batch == 1 && out.size <= kSizeStep)
    fail("--batch 1 leaves BatchNorm one value of a channel at --size ", out.size, "; give --batch 2 or --size ",
         2 * kSizeStep);
  out.batch = fixed.batch > 0 ? fixed.batch : batch_size(facts.images, facts.gpu);
  while (fixed.batch == 0 && out.batch > most) out.batch /= 2;
  const auto divide = [](std::uint64_t a, std::uint64_t b) { return a % b == 0 || b % a == 0; };
  // Groups are even, and hold whole forwards.
  const std::uint64_t unit = std::lcm<std::uint64_t>(2, std::max(1u, facts.module_batch));
  const std::uint64_t wanted = divide(out.batch, group) ? group : std::lcm<std::uint64_t>(unit, out.batch);
  if (wanted > kLargestGroup)
    fail("--batch ", out.batch, " needs groups of ", wanted, " views, more than ", kLargestGroup,
         "; give a multiple of ", group);
  out.group = static_cast<std::uint32_t>(wanted);
}

}  // namespace

double hold_out_share(std::span<const std::uint64_t> classes) {
  constexpr long kMostThousandths = 250;  // which holds out one of two, and of three
  const auto all = static_cast<double>(
      std::max<std::uint64_t>(1, std::accumulate(classes.begin(), classes.end(), std::uint64_t{0})));
  const double wanted = std::max(std::min(0.1, 10'000 / all), 100 / all);  // 100 to 10,000 images, else a tenth
  const double usual = std::clamp(wanted, 0.001, 0.2);
  const auto share_of = [](long thousandths) { return static_cast<double>(thousandths) / 1000; };
  const auto held_out = [&](double share) {
    double images = 0;
    for (const std::uint64_t size : classes) images += std::round(share * static_cast<double>(size));
    return images;
  };
  long thousandths = std::lround(1000 * usual);
  while (thousandths < kMostThousandths && held_out(share_of(thousandths)) < usual * all / 2) ++thousandths;
  return held_out(share_of(thousandths)) > 0 ? share_of(thousandths) : 0;
}

std::uint32_t group_size(std::uint64_t images, std::uint32_t module_batch) {
  return std::lcm(images < 2'000 ? 32u : 64u, std::max(1u, module_batch));
}

double feature_error() {
  return 0.05;
}

BaselineChoice choose_baseline(const DistilFacts& facts, const DistilChoice& choice) {
  // Where it is smaller, the student's batch is of whole groups, and a pass is too.
  const auto batch =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(choice.batch, pass_views(facts.labelled, choice.group)));
  return {.epochs = epochs_of_baseline(facts, choice.passes, choice.epochs(), choice.size),
          .batch = batch,
          .lr = choice.lr * (usual_lr(batch) / usual_lr(choice.batch))};
}

DistilChoice choose_settings(const DistilFacts& facts, const DistilFixed& fixed) {
  check_disk_of_run(facts, fixed);
  const Length length = fit_into(facts, fixed, passes_on_disk(facts, fixed));
  DistilChoice out;
  const auto chosen = [&](const char* what, std::string value, std::string why) {
    out.reasons.push_back({what, std::move(value), std::move(why)});
  };
  out.passes = length.passes, out.size = length.size;
  chosen("passes", text(out.passes), length.why_passes);
  chosen("epochs", text(length.epochs), length.why_epochs);
  chosen("size", text(out.size), length.why_size);

  choose_batch(facts, fixed, out);
  chosen("batch", text(out.batch), fixed.batch > 0 ? "as given" : "for enough steps per epoch");

  const bool few = facts.images < kFew;
  const double epochs = length.epochs;
  out.align_epochs = epochs > kFewestEpochs ? 1 : 0;
  out.fine_tune_epochs = few || facts.labelled == 0 || !facts.teacher_fits ? 0 : std::round(0.1 * epochs);
  out.joint_epochs = epochs - out.align_epochs - out.fine_tune_epochs;
  chosen("fine-tune", out.fine_tune_epochs > 0 ? text(out.fine_tune_epochs, " epochs") : "none",
         facts.labelled == 0   ? "there are no labels"
         : !facts.teacher_fits ? "labels teach all the time, as the teacher has other classes"
         : few                 ? "with few labels it costs accuracy"
                               : "a tenth of the epochs");

  out.lr = usual_lr(out.batch) * (facts.begins_trained ? 0.2 : 1.0);
  out.fine_tune_lr = out.lr / 10;
  out.warm_up_epochs = 0.05 * epochs;
  chosen("lr", text(out.lr),
         facts.begins_trained ? "a fifth of the usual, as the student begins trained" : "for this batch");
  out.weight_decay = facts.images < kFew ? 0.02 : facts.images < kSome ? 0.005 : facts.images < kMany ? 5e-4 : 1e-4;
  chosen("weight decay", text(out.weight_decay), few ? "high, against overfitting" : "for this many images");

  out.max_error = feature_error();
  chosen("max_error", text(out.max_error), "the features' largest error; more passes are worth more than exact ones");
  out.mix_probability = facts.images < kSome ? 0.7 : 1.0;
  out.min_area = facts.images < kSome ? 0.35 : 0.08;
  chosen("views", text("crops from ", out.min_area, ", ", 100 * out.mix_probability, " % mixed"),
         facts.images < kSome ? "milder than ImageNet's" : "as on ImageNet");

  out.seconds = seconds_of(facts, fixed.baseline, out.passes, length.epochs, out.size);
  out.cache_bytes = facts.view_bytes * static_cast<double>(facts.images) * out.passes;
  out.run_bytes = bytes_of_run(facts, fixed);
  return out;
}

}  // namespace vitrine
