// metrics.jsonl, metrics.csv and mapping.csv: the same numbers, once each, however a run was stopped.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/base/error.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "train/run/monitor.h"
#include "train/run/run_log.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::read_whole;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;
using Json = nlohmann::ordered_json;

namespace {

StepMetrics step_line(std::uint64_t step) {
  StepMetrics out;
  out.at = {step, (step - 1) / 4 + 1, "joint"};
  out.lr = 0.001, out.loss = 2.5 / static_cast<double>(step);
  out.terms.output = 0.1, out.terms.label = 1.5;
  out.weights = {.r = 0.75, .w_out = 0.5, .w_feat = 0.25};
  out.gradient_norm = 3;
  out.images_per_second = 120, out.seconds = 7.5, out.wait_share = 0.125, out.core_seconds = 14;
  return out;
}

ValidationMetrics validation_line(std::uint64_t step) {
  ValidationMetrics out;
  out.at = {step, step / 4, "joint"};
  out.images = 40, out.top1 = 0.5, out.top5 = 0.75, out.loss = 1.25, out.best = true;
  out.validation_seconds = 0.5;
  return out;
}

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::istringstream lines(read_whole(path));
  std::vector<std::string> out;
  for (std::string line; std::getline(lines, line);) out.push_back(line);
  return out;
}

std::vector<std::string> cells_of(const std::string& row) {
  std::istringstream cells(row + ",");
  std::vector<std::string> out;
  for (std::string cell; std::getline(cells, cell, ',');) out.push_back(cell);
  return out;
}

struct LogFixture {
  TemporaryDirectory directory;
  RunFiles files{directory.path()};

  /// "step 4", ...: the events of metrics.jsonl.
  std::vector<std::string> events() const {
    std::vector<std::string> out;
    for (const std::string& line : lines_of(files.metrics())) {
      const Json json = Json::parse(line);
      out.push_back(json.at("event").get<std::string>() + " " + json.at("step").dump());
    }
    return out;
  }
};

}  // namespace

TEST_CASE("metrics.csv has the numbers of the steps and validations of metrics.jsonl, to the digit") {
  const LogFixture fixture;
  {
    RunLog log(fixture.directory.path(), {});
    StepMetrics scaled = step_line(2);
    scaled.scale = 65536, scaled.skipped = 1;
    scaled.loss = std::numeric_limits<double>::quiet_NaN();
    scaled.terms.output = std::numeric_limits<double>::infinity();
    log.add(step_line(1));
    log.add(scaled);
    log.add(validation_line(4));
    log.add(PhaseMetrics{{4, 1, "joint"}, {{"terms", "kl from 1 to 0.5, \"so\" it learns", false}}});
    log.add(EndMetrics{.step = 4, .seconds = 9.5, .top1 = 0.5, .on = "test", .last_top1 = 0.25});
  }
  const std::vector<std::string> lines = lines_of(fixture.files.metrics());
  REQUIRE(lines.size() == 5);
  CHECK(Json::parse(lines[0]) ==
        Json::parse(R"({"event":"step","step":1,"epoch":1,"phase":"joint","lr":0.001,"loss":2.5,"kl":0.1,"label":1.5,)"
                    R"("distillation_weight":0.75,"feature_weight":0.25,"output_weight":0.5,"gradient_norm":3.0,)"
                    R"("images_per_second":120.0,"seconds":7.5,"wait_share":0.125,"core_seconds":14.0})"));
  CHECK(Json::parse(lines[2]) ==
        Json::parse(R"({"event":"validation","step":4,"epoch":1,"phase":"joint","images":40,"top1":0.5,"top5":0.75,)"
                    R"("loss":1.25,"best":true,"validation_seconds":0.5})"));
  CHECK(Json::parse(lines[3]).at("findings") ==
        Json::parse(R"([{"kind":"terms","problem":false,"sentence":"kl from 1 to 0.5, \"so\" it learns"}])"));
  CHECK(Json::parse(lines[4]) ==
        Json::parse(R"({"event":"end","step":4,"seconds":9.5,"top1":0.5,"on":"test","last_top1":0.25})"));
  // What is not finite is absent, as what was not measured.
  for (const char* key : {"loss", "kl", "feature", "attention"}) CHECK_FALSE(Json::parse(lines[1]).contains(key));

  const std::vector<std::string> rows = lines_of(fixture.files.metrics_table());
  REQUIRE(rows.size() == 4);
  const std::vector<std::string> names = cells_of(rows[0]);
  for (std::size_t row = 0; row < 3; ++row) {
    const Json line = Json::parse(lines[row]);
    const std::vector<std::string> cells = cells_of(rows[row + 1]);
    REQUIRE(cells.size() == names.size());
    std::size_t filled = 0;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      CAPTURE(names[c]);
      const bool there = line.contains(names[c]);
      CHECK(cells[c].empty() == !there);
      if (!there) continue;
      CHECK(cells[c] ==
            (line.at(names[c]).is_string() ? line.at(names[c]).get<std::string>() : line.at(names[c]).dump()));
      ++filled;
    }
    CHECK(filled == line.size());
  }
  // A column has one meaning: a step's seconds are the run's so far.
  CHECK_FALSE(Json::parse(lines[2]).contains("seconds"));
}

TEST_CASE("a resumed log has each event once: what the checkpoint does not include is dropped") {
  const LogFixture fixture;
  {
    RunLog log(fixture.directory.path(), {});
    for (std::uint64_t step = 1; step <= 4; ++step) log.add(step_line(step));
    log.add(PhaseMetrics{{4, 1, "joint"}, {{"terms", "a finding", true}}});
    log.add(validation_line(4));
    log.add(EndMetrics{.step = 4, .seconds = 9.5});
    log.add(step_line(5));
  }
  const std::vector<std::string> steps{"step 1", "step 2", "step 3", "step 4", "phase 4"};
  SUBCASE("the validation was made") {
    { const RunLog again(fixture.directory.path(), {.step = 4}); }
    std::vector<std::string> expected = steps;
    expected.push_back("validation 4");
    CHECK(fixture.events() == expected);
    CHECK(lines_of(fixture.files.metrics_table()).size() == 6);
  }
  SUBCASE("the validation is to be made") {
    { const RunLog again(fixture.directory.path(), {.step = 4, .validation_due = true}); }
    CHECK(fixture.events() == steps);
    CHECK(lines_of(fixture.files.metrics_table()).size() == 5);
  }
  SUBCASE("the run was finished, and is extended") {
    { const RunLog again(fixture.directory.path(), {.step = 4, .finished = true}); }
    CHECK(fixture.events().back() == "end 4");
  }
  SUBCASE("an earlier checkpoint") {
    {
      RunLog again(fixture.directory.path(), {.step = 2});
      CHECK(again.take_earlier().size() == 2);
      again.add(step_line(3));
    }
    CHECK(fixture.events() == std::vector<std::string>{"step 1", "step 2", "step 3"});
  }
  SUBCASE("the beginning") {
    { const RunLog again(fixture.directory.path(), {}); }
    CHECK(fixture.events().empty());
    CHECK(lines_of(fixture.files.metrics_table()).size() == 1);
  }
}

TEST_CASE("a resumed run finds out about learning what an unstopped one does, wherever its epochs have a line") {
  // Epochs of 13 steps, a line every fifth step: no line is at an epoch's end before step 65.
  constexpr std::uint64_t kEpoch = 13, kEvery = 5, kSteps = 3 * kEpoch;
  ScheduleOptions schedule;
  schedule.align.epochs = schedule.fine_tune.epochs = 0;
  schedule.joint.epochs = 3;
  const MonitorOptions options{.steps = kSteps, .steps_per_epoch = kEpoch, .batch = 4, .passes = 2};
  const auto go = [&](const LogFixture& fixture, std::uint64_t first, std::uint64_t last) {
    RunLog log(fixture.directory.path(), {.step = first});
    Monitor monitor(options, log, first);
    for (std::uint64_t number = first; number < last; ++number) {
      const SchedulePoint point = phase_at(schedule, number, kEpoch);
      monitor.before(point, [] { return std::vector<double>{1}; });
      monitor.after(point, 0);
      LossTerms terms;
      terms.output = at::tensor(std::vector{1.0, 0.95, 0.6}[point.epoch]).squeeze();
      if ((number + 1) % kEvery == 0) monitor.add_line(number + 1, point, terms, {});
      if ((number + 1) % kEpoch == 0) monitor.conclude(number + 1, point, number + 1 == kSteps, {2});
    }
    monitor.finish();
  };
  const auto findings = [](const LogFixture& fixture) {
    std::vector<std::string> out;
    for (const std::string& line : lines_of(fixture.files.metrics()))
      if (const Json json = Json::parse(line); json.at("event") == "phase") out.push_back(json.dump());
    return out;
  };
  const LogFixture whole;
  go(whole, 0, kSteps);
  const std::vector<std::string> expected = findings(whole);
  REQUIRE_FALSE(expected.empty());
  CHECK(has(expected.back(), "fell from 0.95 to 0.6 when the 2 passes began to repeat"));
  for (const std::uint64_t stop : {4, 13, 16, 26, 31, 38}) {
    CAPTURE(stop);
    const LogFixture broken;
    go(broken, 0, stop);
    go(broken, stop, kSteps);
    CHECK(findings(broken) == expected);
  }
}

TEST_CASE("lines of metrics.jsonl that were cut off or are not events are dropped, and metrics.csv is made again") {
  const LogFixture fixture;
  const std::string one = R"({"event":"step","step":1,"loss":0.5})", two = R"({"event":"step","step":2,"loss":0.25})";
  write_whole(fixture.files.metrics(), one + "\n\n[]\n3\n{}\n" + R"({"event":"step","step":-1})" + "\n" +
                                           R"({"event":"step","step":1.5})" + "\n" + R"({"event":7,"step":1})" + "\n" +
                                           R"({"event":"step","step":18446744073709551617})" + "\n" + two + "\n" +
                                           R"({"event":"step","step":3,"lo)");
  write_whole(fixture.files.metrics_table(), "step,event\n9,step\n");
  { const RunLog again(fixture.directory.path(), {.step = 3}); }
  CHECK(read_whole(fixture.files.metrics()) == one + "\n" + two + "\n");
  const std::vector<std::string> rows = lines_of(fixture.files.metrics_table());
  REQUIRE(rows.size() == 3);
  CHECK(rows[1].starts_with("1,step,,,,0.5,"));
  CHECK(rows[2].starts_with("2,step,,,,0.25,"));
}

TEST_CASE("mapping.csv keeps its whole lines up to the checkpoint") {
  const LogFixture fixture;
  const std::string header = "step,stage,track,weight\n";
  write_whole(fixture.files.mapping(), header +
                                           "1,3,features.1,0.5\n\n0,3,features.1,1\ntwo,3,features.1,1\n"
                                           "2,3,features.1,0.25\n4,3,features.1,1\n3,3,fea");
  RunLog again(fixture.directory.path(), {.step = 3});
  again.add(4, Objective::Mapped{{3}, {"features.1"}, at::ones({1, 1})});
  CHECK(read_whole(fixture.files.mapping()) == header + "1,3,features.1,0.5\n2,3,features.1,0.25\n4,3,features.1,1\n");
}
