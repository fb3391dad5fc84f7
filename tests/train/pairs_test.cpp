#include "train/pairs.h"

#include <torch/torch.h>

#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::message_of;
using Stages = std::vector<std::uint32_t>;

TEST_CASE("blocks and stages at equal relative depth are pairs, for ViTs of every depth") {
  for (const std::uint32_t depth : {4u, 8u, 12u, 24u, 32u})
    for (std::uint32_t quarter = 1; quarter <= 4; ++quarter)
      CHECK(default_stage(depth * quarter / 4 - 1, depth - 1) == quarter);
  CHECK(default_stage(0, 11) == 1);
  CHECK(default_stage(3, 11) == 2);  // a block into the second quarter
  CHECK(default_stage(0, 0) == 4);
  CHECK_THROWS_AS(default_stage(5, 4), std::logic_error);
}

TEST_CASE("stages are as given, else by depth; a single track has the single stage") {
  FeatureTransformerOptions options;
  options.stage = 3;
  CHECK(paired_stages(options, {"features.11"}) == Stages{3});
  CHECK(paired_stages(options, {"features.2", "features.11", "features.5"}) == Stages{1, 4, 2});
  options.stages = {4, 2};
  CHECK(paired_stages(options, {"features.0", "features.1"}) == Stages{4, 2});
  CHECK(message_of([&] { paired_stages(options, {"features.0"}); }).find("2 stages for the 1 tracks") !=
        std::string::npos);
  options.stages = {};
  CHECK(message_of([&] {
          paired_stages(options, {"features.0", "features.x"});
        }).find("features.x") != std::string::npos);
}
