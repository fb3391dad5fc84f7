#include "train/matching/pairs.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;

using vitrine::testing::has;
using vitrine::testing::message_of;
using Stages = std::vector<std::uint32_t>;

TEST_CASE("blocks are paired with the stages of equal relative depth, for ViTs of every depth") {
  for (const std::uint32_t depth : {4u, 8u, 12u, 24u, 32u})
    for (std::uint32_t quarter = 1; quarter <= 4; ++quarter)
      CHECK(default_stage(depth * quarter / 4 - 1, depth - 1) == quarter);
  CHECK(default_stage(0, 11) == 1);
  CHECK(default_stage(3, 11) == 2);  // a block into the second quarter
  CHECK(default_stage(0, 0) == 4);
  CHECK_THROWS_AS(default_stage(5, 4), std::logic_error);
}

TEST_CASE("the matching stage is the deepest that is as fine as the teacher's map") {
  CHECK(matching_stage(224, 14) == 3);
  CHECK(matching_stage(224, 7) == 4);
  CHECK(matching_stage(224, 16) == 2);  // 14 × 14 would be coarser
  CHECK(matching_stage(48, 6) == 2);
  CHECK(matching_stage(32, 2) == 3);
  CHECK(matching_stage(33, 2) == 4);  // ⌈33 / 32⌉ = 2
  CHECK(matching_stage(48, 24) == 1);
  // A student of that size has these maps.
  for (const int size : {32, 33, 48, 63, 224}) {
    std::int64_t side = size;
    for (int halving = 0; halving < 2; ++halving) side = (side + 1) / 2;
    for (std::uint32_t stage = 1; stage <= 4; ++stage, side = (side + 1) / 2) {
      CHECK(matching_stage(size, side) >= stage);
      CHECK(matching_stage(size, side + 1) <= std::max(1u, stage - 1));
    }
  }
}

TEST_CASE("paired_stages returns the given stages, else stages by depth, and for a single track the single stage") {
  FeatureTransformerOptions options;
  CHECK(paired_stages(options, {"features.11"}, 3) == Stages{3});
  CHECK(paired_stages(options, {"features.2", "features.11", "features.5"}, 3) == Stages{1, 4, 2});
  options.stages = {4, 2};
  CHECK(paired_stages(options, {"features.0", "features.1"}, 3) == Stages{4, 2});
  CHECK(message_of([&] { paired_stages(options, {"features.0"}, 3); }).find("2 stages for the 1 tracks") !=
        std::string::npos);
  options.stages = {};
  CHECK(has(message_of([&] { paired_stages(options, {"features.0", "features.x"}, 3); }), "features.x"));
}
