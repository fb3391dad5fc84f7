#include "common/plan/shard_layout.h"

#include "tests/support/testing.h"

using namespace vitrine;

TEST_CASE("the shards of all passes hold every group once, and key_of inverts number_of") {
  for (const ShardLayout layout :
       {ShardLayout{10, 4, 64}, ShardLayout{8, 4, 2}, ShardLayout{1, 64, 32}, ShardLayout{5, 1, 2}}) {
    std::uint64_t number = 0;
    for (std::uint32_t pass = 0; pass < 3; ++pass) {
      std::uint32_t next = 0;
      for (std::uint32_t shard = 0; shard < layout.shards_per_pass(); ++shard, ++number) {
        const ShardSpan span = layout.span_of(number);
        CHECK(span.key == ShardKey{pass, shard});
        CHECK(span.number == number);
        CHECK(layout.number_of(span.key) == number);
        CHECK(layout.pass_of(number) == pass);
        CHECK(span.first_group == next);
        CHECK(span.groups >= 1);
        CHECK(span.groups <= layout.shard_groups);
        CHECK(span.views == std::uint64_t{span.groups} * layout.group_views);
        for (std::uint32_t g = 0; g < span.groups; ++g, ++next) {
          CHECK(span.group(g) == GroupKey{pass, next});
          CHECK(layout.number_of(span.group(g)) == number);
          CHECK(layout.place_of(span.group(g)) == g);
        }
      }
      CHECK(next == layout.groups_per_pass);
    }
  }
}

TEST_CASE("the last shard of a pass holds the rest; numbers may exceed 2^32") {
  const ShardLayout layout{10, 4, 64};
  CHECK(layout.shards_per_pass() == 3);
  CHECK(layout.views_per_pass() == 640);
  CHECK(layout.span_of(ShardKey{0, 2}).groups == 2);
  CHECK(layout.span_of(ShardKey{1, 0}).groups == 4);
  CHECK(layout.number_of(ShardKey{4'000'000'000u, 2}) == 12'000'000'002u);
  CHECK(layout.key_of(12'000'000'002u) == ShardKey{4'000'000'000u, 2});
  CHECK(ShardLayout{1, 1, 2}.pass_of(9'999'999'999u) == 9'999'999'999u);
}
