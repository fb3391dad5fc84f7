// Sentences about learning, from sequences that were made to show one thing each.
#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "train/run/learning.h"
#include "train/run/monitor.h"
#include "train/run/output_statistics.h"
#include "train/run/run_log.h"

using namespace vitrine;
using vitrine::testing::has;

namespace {

LearningEvidence joint() {
  LearningEvidence out;
  out.phase = "joint";
  out.lr = 0.001;
  out.norms_before = {1, 2}, out.norms_now = {1, 2.5};
  return out;
}

std::vector<double> from_to(double first, double last, int count) {
  std::vector<double> out;
  for (int i = 0; i < count; ++i) out.push_back(first + (last - first) * i / (count - 1));
  return out;
}

/// The finding of a kind; an empty sentence when there is none.
LearningFinding found(const LearningEvidence& evidence, const std::string& kind) {
  for (const LearningFinding& finding : learning_findings(evidence))
    if (finding.kind == kind) return finding;
  return {};
}

}  // namespace

TEST_CASE("the terms of the loss are compared by themselves, between the phase's beginning and its end") {
  LearningEvidence evidence = joint();
  evidence.terms["kl"] = from_to(2, 1, 16);
  evidence.terms["label"] = from_to(1, 3, 16);
  const LearningFinding terms = found(evidence, "terms");
  CHECK_FALSE(terms.problem);
  CHECK(terms.sentence == "kl from 1.9 to 1.1, label from 1.2 to 2.8");  // means of the first and last four
  CHECK(found(evidence, "no fall").sentence.empty());

  evidence.terms["kl"] = from_to(2, 1.99, 16);
  evidence.terms["label"] = from_to(1, 1.01, 16);
  CHECK(found(evidence, "no fall").problem);
  CHECK(has(found(evidence, "no fall").sentence, "raise schedule.joint.lr = 0.001, unless the phase has converged"));
  evidence.terms["kl"] = from_to(2, 1, 7), evidence.terms.erase("label");
  CHECK(learning_findings(evidence).empty());  // too few lines
}

TEST_CASE("a loss that rises is told from one that is flat: the learning rate is too high") {
  LearningEvidence evidence = joint();
  evidence.terms["label"] = from_to(1.35, 1.47, 16);
  CHECK(found(evidence, "rose").problem);
  CHECK(found(evidence, "rose").sentence == "the loss rose (label from 1.36 to 1.46); lower schedule.joint.lr = 0.001");
  CHECK(found(evidence, "no fall").sentence.empty());
  evidence.terms["kl"] = from_to(2, 1, 16);  // the labels alone rise: the teacher differs from them
  CHECK(found(evidence, "rose").sentence.empty());
  CHECK_FALSE(found(evidence, "terms").problem);

  // Down from 2 to 0.5, and up to 1.5 again: it ends below its beginning.
  evidence.terms.erase("label");
  evidence.terms["kl"] = from_to(2, 0.5, 12);
  for (const double value : {0.8, 1.2, 1.5, 1.5}) evidence.terms["kl"].push_back(value);
  CHECK(found(evidence, "rose again").problem);
  CHECK(has(found(evidence, "rose again").sentence, "to 1.25); lower schedule.joint.lr = 0.001"));
  CHECK(found(evidence, "terms").sentence.empty());
}

TEST_CASE("weights that grow tenfold are a problem, those of one tensor among others are not") {
  LearningEvidence evidence = joint();
  evidence.norms_before = {3, 4, 0}, evidence.norms_now = {30, 39, 1};
  CHECK(learning_findings(evidence).empty());
  evidence.norms_now = {30, 40.1, 1};
  CHECK(found(evidence, "weights").problem);
  CHECK(has(found(evidence, "weights").sentence, "grew from 5 to 50.1, 10 times; lower schedule.joint.lr = 0.001"));
}

TEST_CASE("views that are fitted and not learned from: their loss is far below that of the validation images") {
  LearningEvidence evidence = joint();
  evidence.terms["label"] = from_to(2.8, 1, 16);  // its last four: 1.18
  evidence.validation_loss = 2.5;
  evidence.times_seen = 2;
  CHECK(found(evidence, "seen views").sentence.empty());  // seen twice: not too few passes
  evidence.times_seen = 16;
  CHECK(found(evidence, "seen views").problem);
  CHECK(found(evidence, "seen views").sentence ==
        "the label loss is 1.18 on training views and 2.5 on the validation images: it fits views that it has seen, "
        "each 16 times by now; more passes would help");
  evidence.validation_loss = 1.9;  // 1.18 is 0.62 of it
  CHECK(found(evidence, "seen views").sentence.empty());

  evidence = joint();
  evidence.times_seen = 16;
  evidence.agreement = 0.9, evidence.validation_agreement = 0.5, evidence.compared = 1000;
  CHECK(has(found(evidence, "seen views").sentence, "on 90 % of the training views and on 50 % of the validation"));
  evidence.compared = 16;  // too few views to tell: one standard deviation is an eighth
  CHECK(found(evidence, "seen views").sentence.empty());
}

TEST_CASE("a run that sees each view often is told so before it begins, whatever its phases") {
  CHECK_FALSE(repeated_views_warning(1, ""));
  CHECK_FALSE(repeated_views_warning(2.5, ""));
  CHECK_FALSE(repeated_views_warning(4, ""));
  const auto often = repeated_views_warning(60, "extract more passes");
  REQUIRE(often);
  CHECK(often->starts_with("each view is seen 60 times; "));
  CHECK(often->ends_with("; extract more passes, or train for fewer epochs"));
}

TEST_CASE("an epoch's line has the terms and the agreement, and nothing where nothing was measured") {
  LearningEvidence evidence = joint();
  CHECK(learning_words(evidence).empty());
  evidence.agreement = 0.614;
  CHECK(learning_words(evidence) == "agreement 61.4 % on training views");
  evidence.terms["kl"] = from_to(2, 1, 16);
  CHECK(learning_words(evidence) == "kl from 1.9 to 1.1, agreement 61.4 % on training views");
}

TEST_CASE("a phase after which every weight is the same did nothing") {
  LearningEvidence evidence = joint();
  CHECK(learning_findings(evidence).empty());
  evidence.lr = 0;
  evidence.norms_now = evidence.norms_before;
  const LearningFinding nothing = found(evidence, "did nothing");
  CHECK(nothing.problem);
  CHECK(nothing.sentence == "did nothing: no weight has changed (schedule.joint.lr = 0)");
  evidence.lr = 0.1, evidence.lr_factor = 4;
  CHECK(found(evidence, "did nothing").sentence ==
        "did nothing: no weight has changed (schedule.joint.lr = 0.1, which lr_batch makes 0.4)");
  evidence.norms_before.clear(), evidence.norms_now.clear();  // not measured
  CHECK(learning_findings(evidence).empty());
}

TEST_CASE("KL is compared with a constant guess's") {
  LearningEvidence evidence = joint();
  evidence.kl = 0.5, evidence.constant_kl = 1;
  CHECK_FALSE(found(evidence, "constant").problem);
  CHECK(found(evidence, "constant").sentence == "KL to the teacher is 0.5, a constant guess has 1");
  evidence.kl = 0.99;
  CHECK(found(evidence, "constant").problem);
  CHECK(has(found(evidence, "constant").sentence, "does not yet tell the views apart"));
}

TEST_CASE("channels that are equal for all views, and a gradient that explodes, are problems") {
  LearningEvidence evidence = joint();
  evidence.channels = 100, evidence.silent = 4;
  evidence.gradient_norms = std::vector<double>(20, 2.0);
  CHECK(learning_findings(evidence).empty());
  evidence.silent = 5;
  CHECK(found(evidence, "silent channels").problem);
  CHECK(has(found(evidence, "silent channels").sentence, "5 of the 100 channels"));
  evidence.gradient_norms[7] = 201;
  CHECK(found(evidence, "gradient").problem);
  CHECK(has(found(evidence, "gradient").sentence, "reached 201, 100 times its median"));
}

TEST_CASE("a drop when the views begin to repeat is more passes' business only if it is steeper than before") {
  const auto epochs = [](double a, double b, double c) {
    return std::vector<EpochLoss>{{1, "joint", 9}, {2, "joint", a}, {3, "joint", b}, {4, "joint", c}};
  };
  const auto repetition = repetition_finding(epochs(1, 0.95, 0.6), 3);
  REQUIRE(repetition);
  CHECK(has(repetition->sentence, "fell from 0.95 to 0.6 when the 3 passes began to repeat"));
  CHECK_FALSE(repetition_finding(epochs(1, 0.8, 0.6), 3));     // as steep as before
  CHECK_FALSE(repetition_finding(epochs(1, 0.999, 0.99), 3));  // not notable
  CHECK_FALSE(repetition_finding(epochs(1, 0.95, 0.6), 4));    // not yet repeated
  auto other_phase = epochs(1, 0.95, 0.6);
  other_phase[1].phase = "align";
  CHECK_FALSE(repetition_finding(other_phase, 3));
}

TEST_CASE("output statistics have KL, a constant guess's KL, agreement and silent channels, whatever the batches") {
  const at::Tensor teacher = at::tensor({4.0, 0.0, 0.0, 0.0, 4.0, 0.0}).view({2, 3});
  const at::Tensor student = at::tensor({1.0, 0.0, 0.0, 2.0, 1.0, 0.0}).view({2, 3});
  const at::Tensor maps = at::stack({at::full({2, 2, 2}, 1.0), at::full({2, 2, 2}, 1.0)});
  maps[1][1] = 3;  // channel 0 is equal for both views
  const auto measured = [&](std::int64_t views, bool comparable) {
    OutputStatistics statistics(2, comparable);
    for (std::int64_t first = 0; first < 2; first += views)
      statistics.add({student.narrow(0, first, views), {maps.narrow(0, first, views)}},
                     teacher.narrow(0, first, views));
    LearningEvidence out;
    statistics.summarise(out);
    return out;
  };
  const at::Tensor p = at::softmax(teacher.to(at::kDouble) / 2, 1), q = at::softmax(student.to(at::kDouble) / 2, 1);
  const double kl = (p * (p / q).log()).sum().item<double>() / 2;
  const double constant = (p * (p / p.mean(0)).log()).sum().item<double>() / 2;
  for (const std::int64_t views : {1, 2}) {
    const LearningEvidence evidence = measured(views, true);
    CHECK(evidence.kl.value() == doctest::Approx(kl));
    CHECK(evidence.constant_kl.value() == doctest::Approx(constant));
    CHECK(evidence.agreement.value() == 0.5);
    CHECK(evidence.channels == 2);
    CHECK(evidence.silent == 1);
  }
  const LearningEvidence packed = measured(2, false);
  CHECK_FALSE(packed.kl.has_value());
  CHECK(packed.channels == 2);
}

TEST_CASE("a monitor leaves out the time of pauses, and names a learning rate as the configuration has it") {
  const vitrine::testing::TemporaryDirectory directory;
  PhaseOptions phase;
  phase.name = "joint", phase.lr = 0.1;
  const SchedulePoint point{.phase = &phase, .lr = 0.4};
  {
    RunLog log(directory.path(), {});
    Monitor monitor({.steps = 2, .steps_per_epoch = 2, .batch = 100, .passes = 1, .lr_factor = 4}, log, 0);
    for (const std::uint64_t step : {1u, 2u}) {
      monitor.pause();
      std::this_thread::sleep_for(std::chrono::seconds(1));  // a checkpoint or validation of the step before
      monitor.before(point, [] { return std::vector<double>{1}; });
      monitor.after(point, 0);
      StepMetrics line;
      line.lr = point.lr;
      monitor.add_line(step, point, {}, line);
    }
    monitor.conclude(2, point, true, {1});
    monitor.finish();
  }
  std::istringstream lines(vitrine::testing::read_whole(RunFiles(directory.path()).metrics()));
  std::size_t steps = 0;
  std::string sentence;
  for (std::string text; std::getline(lines, text);) {
    const auto line = nlohmann::json::parse(text);
    if (line.at("event") == "step") {
      ++steps;
      CHECK(line.at("images_per_second").get<double>() > 1000);  // 100 images in a second and more before
    } else {
      sentence = line.at("findings").at(0).at("sentence").get<std::string>();
    }
  }
  CHECK(steps == 2);
  CHECK(sentence == "did nothing: no weight has changed (schedule.joint.lr = 0.1, which lr_batch makes 0.4)");
}

TEST_CASE("a monitor compares with its phase's validation of the epoch before, and gives the epoch's words") {
  struct Validation {
    std::uint64_t step;
    const char* phase;
    bool compared;
  };
  for (const Validation& last : {Validation{16, "joint", true}, {8, "joint", false}, {16, "align", false}}) {
    CAPTURE(last.step);
    CAPTURE(last.phase);
    const vitrine::testing::TemporaryDirectory directory;
    PhaseOptions phase;
    phase.name = "joint", phase.lr = 0.1;
    std::string words;
    {
      RunLog log(directory.path(), {});
      Monitor monitor({.steps = 32, .steps_per_epoch = 8, .batch = 1, .passes = 1}, log, 0);
      LossTerms terms;
      terms.label = at::tensor(0.5);
      for (std::uint32_t step = 1; step <= 24; ++step) {
        const SchedulePoint point{.phase = &phase, .epoch = (step - 1) / 8, .lr = 0.1};
        monitor.before(point, [] { return std::vector<double>{1}; });
        monitor.after(point, 0);
        monitor.add_line(step, point, terms, {});
        if (step % 8 == 0) words = monitor.conclude(step, point, false, {1.5});
        if (step == last.step) {  // after the conclusion, as in training
          ValidationMetrics validation;
          validation.at = {step, step / 8, last.phase};
          validation.loss = 2;
          log.add(validation);
        }
      }
      monitor.finish();
    }
    CHECK(words == "label from 0.5 to 0.5");
    std::istringstream lines(vitrine::testing::read_whole(RunFiles(directory.path()).metrics()));
    std::vector<std::uint64_t> fitted;
    for (std::string text; std::getline(lines, text);)
      if (const auto line = nlohmann::json::parse(text); line.at("event") == "phase")
        for (const auto& finding : line.at("findings"))
          if (finding.at("kind") == "seen views") fitted.push_back(line.at("step"));
    CHECK(fitted ==
          (last.compared ? std::vector<std::uint64_t>{24} : std::vector<std::uint64_t>{}));  // of three sweeps
    const RunLog resumed(directory.path(), {.step = 24});
    CHECK(resumed.last_validation().at("loss") == 2);
  }
}
