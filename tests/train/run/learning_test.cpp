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
  CHECK(found(evidence, "no fall").problem);
  CHECK(has(found(evidence, "no fall").sentence, "schedule.joint.lr = 0.001"));
  evidence.terms["kl"] = from_to(2, 1, 7), evidence.terms.erase("label");
  CHECK(learning_findings(evidence).empty());  // too few lines
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
