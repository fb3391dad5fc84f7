// vitrine choose: its decisions and its table.
#include <ATen/ATen.h>

#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tools/commands/choose/candidate.h"
#include "tools/commands/choose/decide.h"

using namespace vitrine;
using vitrine::testing::message_of;

namespace {

CandidateCost cost(std::uint32_t depth, double latency, std::uint64_t multiply_adds, std::uint64_t parameters) {
  return {{depth, 64, 224}, latency, multiply_adds, parameters};
}

std::vector<std::uint32_t> depths_of(const std::vector<CandidateCost>& costs) {
  std::vector<std::uint32_t> out;
  for (const CandidateCost& one : costs) out.push_back(one.candidate.depth);
  return out;
}

using Depths = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("choose: worth training is what is quick enough and not dominated, slowest first") {
  const std::vector<CandidateCost> costs = {
      cost(18, 1, 10, 10),    cost(34, 2, 20, 20), cost(50, 2.5, 15, 15),  // slower and smaller than 34
      cost(101, 2.5, 15, 30),                                              // more parameters than all that are quicker
      cost(152, 9, 90, 90),                                                // too slow
  };
  CHECK(depths_of(worth_training(costs, 3, 9)) == Depths{101, 34, 18});
  CHECK(depths_of(worth_training(costs, 3, 2)) == Depths{101, 34});
  CHECK(depths_of(worth_training(costs, 2, 9)) == Depths{34, 18});  // the bound itself is within it
  CHECK(worth_training(costs, 0.5, 9).empty());
  CHECK(worth_training({}, 3, 9).empty());
}

TEST_CASE("choose: equal candidates do not dominate each other") {
  CHECK(depths_of(worth_training({cost(18, 1, 10, 10), cost(34, 1, 10, 10)}, 3, 9)) == Depths{18, 34});
}

TEST_CASE("choose: the edge has no student that another beats, and the choice is its best within the bound") {
  const std::vector<TrainedCandidate> trained = {
      {cost(50, 4, 0, 0), 0.8}, {cost(18, 1, 0, 0), 0.6}, {cost(34, 2, 0, 0), 0.5}, {cost(101, 3, 0, 0), 0.8}};
  CHECK(edge_of(trained) == std::vector<std::size_t>{1, 3});  // 50 is no better than 101, and slower
  CHECK(choose(trained, 5) == std::optional<std::size_t>(3));
  CHECK(choose(trained, 2.5) == std::optional<std::size_t>(1));
  CHECK_FALSE(choose(trained, 0.5).has_value());
  CHECK_FALSE(choose({}, 1).has_value());
}

TEST_CASE("choose: candidates are all combinations, with names of their own") {
  const std::vector<Candidate> all = candidates_of({18, 50}, {64, 32}, {96});
  REQUIRE(all.size() == 4);
  CHECK(all[0].name() == "resnet18-96");
  CHECK(all[1].name() == "resnet18-w32-96");
  CHECK(all[3].name() == "resnet50-w32-96");
}

TEST_CASE("choose: a table is read as it was written, and a damaged one is refused with its line") {
  std::vector<CandidateCost> costs = {cost(18, 0.1 / 3, 1'814'073'344, 11'689'512), cost(50, 0.02, 5, 6)};
  costs[1].candidate.width = 32;
  const std::string csv = cost_csv({{"Chip, 8 cores", "onnxruntime", 2, "fp32"}, costs});
  const auto [on, read] = parse_cost_csv(csv, "t.csv");
  CHECK(on.describe() == "onnxruntime, fp32, 2 threads of Chip  8 cores");
  REQUIRE(read.size() == 2);
  for (std::size_t i = 0; i < read.size(); ++i) {
    CHECK(read[i].candidate == costs[i].candidate);
    CHECK(read[i].latency == doctest::Approx(costs[i].latency).epsilon(1e-12));
    CHECK(read[i].multiply_adds == costs[i].multiply_adds);
    CHECK(read[i].parameters == costs[i].parameters);
  }
  const std::string whole = csv.substr(0, csv.find('\n') + 1),
                    header = "arch,width,size,latency_ms,multiply_adds,parameters\n";
  const CostTable unknown = parse_cost_csv(header + "resnet18,64,224,5,10,10\n", "t.csv");
  CHECK(unknown.costs.size() == 1);
  CHECK(unknown.on == MeasuredOn{});
  CHECK(unknown.on.describe() == "unknown (the table does not say)");
  const auto refused = [&](const std::string& damaged) {
    return message_of([&] { parse_cost_csv(damaged, "t.csv"); });
  };
  CHECK(refused("a,b\n").starts_with("t.csv: line 1 is not \"arch,width,"));
  CHECK(refused(whole).starts_with("t.csv: holds no candidate"));
  for (const char* row : {"resnet18,64,224,5,10", "vit,64,224,5,10,10", "resnet18,64,224,-5,10,10",
                          "resnet18,64,224,nan,10,10", "resnet18,64,224,5,10,10,7", "resnet18,64,224,5 ms,10,10"})
    CHECK(refused(header + row + "\n").starts_with("t.csv: line 2 is not arch,"));
  for (const char* row : {"resnet18,64,224,5,10,10", "resnet18,64,224,5,10,10,,vitrine,2,fp32",
                          "resnet18,64,224,5,10,10,Chip,vitrine,two,fp32"})
    CHECK(refused(whole + row + "\n").starts_with("t.csv: line 2 is not arch,"));
  CHECK(refused(csv + "resnet18,64,224,5,10,10,Chip  8 cores,onnxruntime,2,fp32\n")
            .starts_with("t.csv: line 4 repeats resnet18-224"));
  CHECK(refused(csv + "resnet34,64,224,5,10,10,Chip  8 cores,onnxruntime,4,fp32\n")
            .starts_with("t.csv: line 4 was measured on onnxruntime, fp32, 4 threads"));
}

TEST_CASE("choose: the usual sizes are the training's and smaller ones") {
  using Sizes = std::vector<std::uint32_t>;
  CHECK(usual_sizes(224) == Sizes{128, 160, 224});
  CHECK(usual_sizes(384) == Sizes{224, 288, 384});
  CHECK(usual_sizes(96) == Sizes{64, 96});
  CHECK(usual_sizes(32) == Sizes{32});
  CHECK(usual_sizes(20) == Sizes{20});
}

TEST_CASE("choose: durations are milliseconds unless they say seconds") {
  CHECK(parse_duration("5ms", "--latency") == doctest::Approx(0.005));
  CHECK(parse_duration("5", "--latency") == doctest::Approx(0.005));
  CHECK(parse_duration("0.2s", "--latency") == doctest::Approx(0.2));
  for (const char* words : {"", "ms", "0", "-1ms", "5min", "inf", "nan"})
    CHECK(message_of([&] { parse_duration(words, "--latency"); }).starts_with("--latency "));
}
