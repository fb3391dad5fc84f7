#include "train/schedule.h"

#include "common/config/config.h"
#include "tests/support/testing.h"

using namespace vitrine;

TEST_CASE("linear and cosine meet both ends and their middle, and stay within") {
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

TEST_CASE("warm-up rises to one in as many steps as it has") {
  CHECK(warm_up(0, 4) == 0.25);
  CHECK(warm_up(3, 4) == 1);
  CHECK(warm_up(4, 4) == 1);
  CHECK(warm_up(0, 0) == 1);
}

TEST_CASE("a step finds its phase, and the phase its learning rate and weights") {
  ScheduleOptions options;
  options.align.epochs = 1;
  options.joint.epochs = 2;
  options.fine_tune.epochs = 1;
  options.w_feat_from = options.w_out_to = 0.7;
  options.w_feat_to = options.w_out_from = 0.3;
  CHECK(options.epochs() == 4);

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

TEST_CASE("a phase without epochs is left out") {
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

TEST_CASE("learning rates fall without a jump within the joint phase") {
  ScheduleOptions options;
  options.align.epochs = 0;
  double before = 1;
  for (std::uint64_t step = 0; step < options.joint.epochs * 7ULL; ++step) {
    const double lr = phase_at(options, step, 7).lr;
    CHECK(lr < before);
    before = lr;
  }
}

TEST_CASE("the configuration reaches every phase") {
  ScheduleOptions options;
  load_config({}, {"align.epochs=3", "joint.schedule=constant", "fine_tune.r_to=0.25", "w_out_to=0.9"}, options);
  CHECK(options.align.epochs == 3);
  CHECK(options.joint.schedule == LearningRate::kConstant);
  CHECK(options.fine_tune.r_to == 0.25);
  CHECK(options.w_out_to == 0.9);
  CHECK_THROWS(load_config({}, {"joint.r_from=1.5"}, options));
}
