#include "train/optim/schedule.h"

#include <cmath>

#include "common/base/error.h"
#include "common/config/config.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;

using vitrine::testing::has;
using vitrine::testing::message_of;

TEST_CASE("linear and cosine have the given end points and middle, and are clamped outside") {
  for (double (*ramp)(double, double, double) : {&linear, &cosine}) {
    CHECK(ramp(0.7, 0.3, 0) == 0.7);
    CHECK(ramp(0.7, 0.3, 1) == doctest::Approx(0.3).epsilon(1e-15));
    CHECK(ramp(0.7, 0.3, 0.5) == doctest::Approx(0.5));
    CHECK(ramp(0.7, 0.3, -1) == 0.7);
    CHECK(ramp(0.7, 0.3, 2) == doctest::Approx(0.3).epsilon(1e-15));
  }
  CHECK(cosine(1, 0, 0.25) == doctest::Approx((1 + std::sqrt(0.5)) / 2));
  CHECK(linear(1, 0, 0.25) == doctest::Approx(0.75));
}

TEST_CASE("warm-up reaches 1 after its number of steps") {
  CHECK(warm_up(0, 4) == 0.25);
  CHECK(warm_up(3, 4) == 1);
  CHECK(warm_up(4, 4) == 1);
  CHECK(warm_up(0, 0) == 1);
}

TEST_CASE("phase_at returns the step's phase, learning rate and loss weights") {
  ScheduleOptions options;
  options.align.epochs = 1;
  options.joint.epochs = 2;
  options.fine_tune.epochs = 1;
  options.w_feat_from = options.w_out_to = 0.7;
  options.w_feat_to = options.w_out_from = 0.3;
  CHECK(options.run_epochs() == 4);

  CHECK(phase_at({}, 0, 10).weights.w_feat == 1);  // constant unless asked otherwise
  CHECK(phase_at({}, 0, 10).weights.w_out == 1);
  const SchedulePoint first = phase_at(options, 0, 10);
  CHECK(first.phase == &options.align);
  CHECK(first.phase->freeze_student);
  CHECK(first.phase->freeze_batch_norm);
  CHECK(first.phase->train_transformer);
  CHECK(first.phase->feature_term);
  CHECK_FALSE(first.phase->output_term);
  CHECK_FALSE(first.phase->label_term);
  CHECK(first.lr == 0.01);
  CHECK(first.weights.r == 1);
  CHECK(first.weights.w_feat == 0.7);
  CHECK(first.weights.w_out == 0.3);
  CHECK(phase_at(options, 9, 10).lr == 0.01);

  const SchedulePoint joint = phase_at(options, 10, 10);
  CHECK(joint.phase == &options.joint);
  CHECK(joint.phase_number == 1);
  CHECK(joint.step_in_phase == 0);
  CHECK(joint.epoch == 1);
  CHECK(joint.lr == 0.001);
  CHECK(joint.weights.r == 0.75);
  CHECK(phase_at(options, 20, 10).lr == doctest::Approx(0.0005));           // half of the cosine
  CHECK(phase_at(options, 20, 10).weights.w_feat == doctest::Approx(0.5));  // half of the run
  CHECK(phase_at(options, 20, 10).weights.w_out == doctest::Approx(0.5));

  CHECK(phase_at(options, 30, 10).phase == &options.fine_tune);
  CHECK(phase_at(options, 30, 10).weights.r == 0.75);
  CHECK(phase_at(options, 35, 10).weights.r == doctest::Approx(0.625));
  const SchedulePoint last = phase_at(options, 39, 10);
  CHECK(last.epoch == 3);
  CHECK(last.phase_progress == doctest::Approx(0.9));
  CHECK(last.lr > 0);
  CHECK_THROWS_AS(phase_at(options, 40, 10), std::logic_error);
  CHECK_THROWS_AS(phase_at(options, 0, 0), std::logic_error);
}

TEST_CASE("a phase of zero epochs is skipped") {
  ScheduleOptions options;
  options.align.epochs = options.fine_tune.epochs = 0;
  options.joint.epochs = 2;
  options.joint.warm_up_epochs = 0.5;
  const SchedulePoint first = phase_at(options, 0, 8);
  CHECK(first.phase == &options.joint);
  CHECK(first.lr == doctest::Approx(0.001 / 4));  // four steps of warm-up
  CHECK(phase_at(options, 15, 8).phase == &options.joint);
  CHECK_THROWS_AS(phase_at(options, 16, 8), std::logic_error);
}

TEST_CASE("a phase may begin in the middle of an epoch; its bound is rounded to the nearest step") {
  ScheduleOptions options;
  options.align.epochs = 0.5;
  options.joint.epochs = 1.26;
  options.fine_tune.epochs = 0.33;
  CHECK(phase_bounds(options, 10) == PhaseBounds{0, 5, 18, 21});
  CHECK(phase_at(options, 4, 10).phase == &options.align);
  CHECK(phase_at(options, 5, 10).phase == &options.joint);
  CHECK(phase_at(options, 5, 10).epoch == 0);
  CHECK(phase_at(options, 17, 10).phase_progress == doctest::Approx(12.0 / 13));
  CHECK(phase_at(options, 18, 10).phase == &options.fine_tune);
  CHECK(phase_at(options, 18, 10).epoch == 1);
  CHECK(phase_at(options, 20, 10).epoch == 2);
  CHECK_THROWS_AS(phase_at(options, 21, 10), std::logic_error);
  // Rounding errors do not accumulate: the run has a thousand steps wherever the phases begin.
  options.align.epochs = options.joint.epochs = options.fine_tune.epochs = 1000.0 / 3;
  CHECK(phase_bounds(options, 1) == PhaseBounds{0, 333, 667, 1000});

  options.align.epochs = 0.04;
  CHECK(message_of([&] { phase_bounds(options, 10); }).find("schedule.align has a length of 0.04 epochs") !=
        std::string::npos);
  options.align.epochs = options.joint.epochs = options.fine_tune.epochs = 0;
  CHECK(has(message_of([&] { phase_bounds(options, 10); }), "the schedule has no epochs"));
}

TEST_CASE("when schedule.epochs is set, the phases' lengths are relative") {
  ScheduleOptions options;
  options.epochs = 52;  // 1 : 20 : 5, twice as long
  CHECK(options.run_epochs() == 52);
  CHECK(phase_bounds(options, 10) == PhaseBounds{0, 20, 420, 520});
  options.align.epochs = 0.05, options.joint.epochs = 0.75, options.fine_tune.epochs = 0.2;
  options.epochs = 10;
  CHECK(options.phase_epochs(1) == doctest::Approx(7.5));
  CHECK(phase_bounds(options, 10) == PhaseBounds{0, 5, 80, 100});
  options.align.epochs = options.joint.epochs = 0;  // the only phase has the whole run
  CHECK(phase_bounds(options, 10) == PhaseBounds{0, 0, 0, 100});
  options.fine_tune.epochs = 0;
  CHECK_THROWS_AS(phase_bounds(options, 10), Error);
}

TEST_CASE("the terms' weights follow the run's progress linearly or as half a cosine") {
  ScheduleOptions options;
  options.w_feat_from = options.w_out_to = 0.7;
  options.w_feat_to = options.w_out_from = 0.3;
  const std::uint64_t quarter = 65;  // of 26 epochs of ten steps
  CHECK(phase_at(options, quarter, 10).weights.w_feat == doctest::Approx(0.6));
  load_config({}, {"w_ramp=cosine"}, options);
  CHECK(phase_at(options, 0, 10).weights.w_feat == 0.7);
  CHECK(phase_at(options, quarter, 10).weights.w_feat == doctest::Approx(0.5 + 0.2 * std::sqrt(0.5)));
  CHECK(phase_at(options, quarter, 10).weights.w_out == doctest::Approx(0.5 - 0.2 * std::sqrt(0.5)));
  CHECK_THROWS(load_config({}, {"w_ramp=square"}, options));
}

TEST_CASE("the learning rate is continuous and decreasing within the joint phase") {
  ScheduleOptions options;
  options.align.epochs = 0;
  double before = 1;
  for (std::uint64_t step = 0; step < phase_bounds(options, 7)[2]; ++step) {
    const double lr = phase_at(options, step, 7).lr;
    CHECK(lr < before);
    before = lr;
  }
}

TEST_CASE("every phase's options can be set from the configuration") {
  ScheduleOptions options;
  load_config({}, {"align.epochs=3", "joint.schedule=constant", "fine_tune.r_to=0.25", "w_out_to=0.9"}, options);
  CHECK(options.align.epochs == 3);
  CHECK(options.joint.schedule == LearningRate::kConstant);
  CHECK(options.fine_tune.r_to == 0.25);
  CHECK(options.w_out_to == 0.9);
  CHECK_THROWS(load_config({}, {"joint.r_from=1.5"}, options));
}
