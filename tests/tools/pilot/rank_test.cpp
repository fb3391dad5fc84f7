// vitrine pilot: how pictures are shared out, and what tells two students apart.
#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "tests/support/testing.h"
#include "tools/commands/pilot/pictures.h"
#include "tools/commands/pilot/rank.h"

using namespace vitrine;

namespace {

using Counts = std::vector<std::uint64_t>;

// For each class the pictures that teach, and those held out.
Counts shares(const Counts& files, std::uint64_t teaching, std::uint64_t held_out) {
  Counts out;
  for (const PictureShares& one : shares_of(files, teaching, held_out))
    out.insert(out.end(), {one.teaching, one.held_out});
  return out;
}

PairedAnswers pair_of(std::uint64_t only_first, std::uint64_t only_second) {
  return {.pictures = 1000, .only_first = only_first, .only_second = only_second};
}

}  // namespace

TEST_CASE("pilot: pictures are shared evenly over the classes, and larger classes make up for small ones") {
  CHECK(shares({14, 14, 14}, 16, 12) == Counts{6, 4, 5, 4, 5, 4});
  CHECK(shares({100, 4, 100}, 30, 15) == Counts{14, 7, 3, 1, 13, 7});
  CHECK(shares({5, 5, 5}, 2, 1) == Counts{1, 1, 1, 0, 0, 0});
}

TEST_CASE("pilot: with too few pictures both kinds shrink alike") {
  CHECK(shares({9, 9}, 2000, 1000) == Counts{6, 3, 6, 3});
  CHECK(shares({1, 2, 0}, 2000, 10) == Counts{1, 0, 1, 1, 0, 0});
  CHECK(shares({}, 5, 5).empty());
}

TEST_CASE("pilot: McNemar's exact test") {
  CHECK(pair_of(0, 0).p() == 1);
  CHECK(pair_of(5, 5).p() == 1);
  // scipy.stats.binomtest(k, n).pvalue
  CHECK(pair_of(8, 2).p() == doctest::Approx(0.109375));
  CHECK(pair_of(2, 8).p() == doctest::Approx(0.109375));
  CHECK(pair_of(9, 1).p() == doctest::Approx(0.021484375));
  CHECK(pair_of(60, 40).p() == doctest::Approx(0.05688793364098078));
  CHECK(pair_of(2100, 1900).p() == doctest::Approx(0.0016529).epsilon(0.001));
  CHECK(pair_of(9, 1).told_apart());
  CHECK_FALSE(pair_of(60, 40).told_apart());
}

TEST_CASE("pilot: students are compared on the pictures that both answered") {
  const StudentAnswers first = {{"a", true}, {"b", true}, {"c", false}, {"d", true}, {"only", true}};
  const StudentAnswers second = {{"a", true}, {"b", false}, {"c", true}, {"d", false}};
  const PairedAnswers pair = paired(first, second);
  CHECK(pair.pictures == 4);
  CHECK(pair.only_first == 2);
  CHECK(pair.only_second == 1);
  CHECK(pair.lead() == doctest::Approx(0.25));
  CHECK(paired(second, first).lead() == doctest::Approx(-0.25));
  CHECK(pair.standard_error() == doctest::Approx(std::sqrt(3 - 0.25) / 4));
  CHECK(paired(first, {}).p() == 1);
  CHECK(right_share(second).value() == 0.5);
  CHECK(right_share(second).standard_error() == doctest::Approx(0.25));
  CHECK(right_share({}).standard_error() == 0);
}
