#include "common/teacher/class_order.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "common/base/philox.h"
#include "common/teacher/assignment.h"
#include "tests/support/testing.h"

using namespace vitrine;

namespace {

/// Folders "0" to "99" as an index has them: by bytes.
std::vector<std::string> folders() {
  std::vector<std::string> out;
  for (int i = 0; i < 100; ++i) out.push_back(std::to_string(i));
  std::ranges::sort(out);
  return out;
}

/// A teacher whose class c stands for label_of[c] and that is right with probability `skill`, else names any class.
Answers answers_of(const std::vector<std::uint32_t>& label_of, double skill, std::size_t images) {
  RandomStream draws(4, Purpose::kSample);
  std::vector<std::uint32_t> class_of(label_of.size());
  for (std::uint32_t c = 0; c < label_of.size(); ++c) class_of[label_of[c]] = c;
  Answers out;
  for (std::size_t i = 0; i < images; ++i) {
    const auto label = static_cast<std::uint32_t>(draws.below(label_of.size()));
    out.labels.push_back(label);
    out.predictions.push_back(draws.uniform() < skill ? class_of[label]
                                                      : static_cast<std::uint32_t>(draws.below(label_of.size())));
  }
  return out;
}

std::vector<std::uint32_t> given_order(std::size_t classes) {
  std::vector<std::uint32_t> out(classes);
  std::iota(out.begin(), out.end(), 0u);
  return out;
}

std::vector<std::uint32_t> shuffled(std::size_t classes) {
  std::vector<std::uint32_t> out = given_order(classes);
  RandomStream draws(9, Purpose::kSample);
  for (std::size_t i = 0; i + 1 < classes; ++i) std::swap(out[i], out[i + draws.below(classes - i)]);
  return out;
}

}  // namespace

TEST_CASE("tools' orders of class folders, without those that are the given one or each other") {
  const std::vector<ClassOrder> hundred = tool_orders(folders());
  REQUIRE(hundred.size() == 1);  // natural, with case and without, and by number: all the same here
  CHECK(hundred[0].name.starts_with("natural order without case"));
  CHECK(hundred[0].command == "sort -fV");
  // Class 2 of the natural order is folder "2", which comes 13th by bytes: 0 1 10 11 ... 19 2.
  CHECK(folders()[hundred[0].label_of[2]] == "2");
  CHECK(hundred[0].label_of[2] == 12);

  const std::vector<std::string> names{"B2", "a10", "a2"};  // by bytes
  std::vector<std::string> orders;
  for (const ClassOrder& order : tool_orders(names)) {
    std::string words;
    for (const std::uint32_t label : order.label_of) words += names[label] + " ";
    orders.push_back(words);
  }
  CHECK((orders == std::vector<std::string>{"a2 a10 B2 ", "B2 a2 a10 ", "a10 a2 B2 "}));
  CHECK(tool_orders({"ant", "bee", "cat"}).empty());
  // Given in natural order, the bytes' order is another.
  CHECK(tool_orders({"1", "2", "10"})[0].name.starts_with("bytewise order"));
}

TEST_CASE("a head in natural order on folders 0 to 99 is found although it beats chance") {
  const std::vector<std::string> names = folders();
  const ClassOrder natural = tool_orders(names)[0];
  std::size_t same = 0;
  for (std::uint32_t c = 0; c < 100; ++c) same += natural.label_of[c] == c;
  CHECK(same == 12);
  const Answers answers = answers_of(natural.label_of, 0.7, 256);
  const auto found = better_order(answers, names);
  REQUIRE(found.has_value());
  CHECK(found->name == natural.name);
  CHECK((found->label_of == natural.label_of));
  CHECK(found->top1 > 0.6);
}

TEST_CASE("a head in the folders' order, good or poor, is left in peace") {
  const std::vector<std::string> names = folders();
  for (const double skill : {1.0, 0.7, 0.3, 0.1, 0.0})
    for (const std::size_t images : {20, 256, 5000}) {
      CAPTURE(skill);
      CAPTURE(images);
      CHECK_FALSE(better_order(answers_of(given_order(100), skill, images), names).has_value());
    }
  CHECK_FALSE(better_order({}, names).has_value());
}

TEST_CASE("any other order is found where images suffice, on images that it was not made from") {
  const std::vector<std::string> names = folders();
  const std::vector<std::uint32_t> order = shuffled(100);
  const auto found = better_order(answers_of(order, 0.8, 1000), names);
  REQUIRE(found.has_value());
  CHECK(found->name == "");
  CHECK(found->top1 > 0.6);
  CHECK(found->top1 < 0.85);  // on the images themselves it would be more than the teacher's skill
  std::size_t told = 0;
  for (std::uint32_t c = 0; c < 100; ++c) told += found->label_of[c] == order[c];
  CHECK(told > 90);
  // Ten images of a hundred classes show no order.
  CHECK_FALSE(better_order(answers_of(order, 0.8, 10), names).has_value());
}

TEST_CASE("an assignment is the best there is, which the commonest pairs first are not") {
  CHECK((best_assignment(2, 2, {{0, 0, 5}, {0, 1, 4}, {1, 0, 4}}) == std::vector<std::uint32_t>{1, 0}));
  CHECK((best_assignment(3, 2, {{0, 1, 1}, {2, 1, 3}}) == std::vector<std::uint32_t>{kUnassigned, kUnassigned, 1}));
  CHECK(best_assignment(0, 0, {}).empty());
  RandomStream draws(12, Purpose::kSample);
  for (int round = 0; round < 50; ++round) {
    constexpr std::size_t kSize = 6;
    std::uint64_t weights[kSize][kSize] = {};
    std::vector<WeightedPair> pairs;
    for (std::uint32_t row = 0; row < kSize; ++row)
      for (std::uint32_t column = 0; column < kSize; ++column)
        if (draws.uniform() < 0.6) {
          weights[row][column] = 1 + draws.below(9);
          pairs.push_back({row, column, static_cast<std::uint32_t>(weights[row][column])});
        }
    std::vector<std::uint32_t> order = given_order(kSize);
    std::uint64_t best = 0;
    do {
      std::uint64_t sum = 0;
      for (std::size_t row = 0; row < kSize; ++row) sum += weights[row][order[row]];
      best = std::max(best, sum);
    } while (std::ranges::next_permutation(order).found);
    std::uint64_t sum = 0;
    std::vector<bool> taken(kSize);
    const std::vector<std::uint32_t> columns = best_assignment(kSize, kSize, pairs);
    for (std::size_t row = 0; row < kSize; ++row) {
      if (columns[row] == kUnassigned) continue;
      CHECK_FALSE(taken[columns[row]]);
      taken[columns[row]] = true;
      sum += weights[row][columns[row]];
    }
    CHECK(sum == best);
  }
}

TEST_CASE("an order is found where each class is predicted most often for another's images") {
  // Fifty pairs of labels a, b. The given order: class a for a, b for b. Class a is named on 20 images of a and 16 of
  // b, class b on 16 of a: 20 are right in the given order, 32 in the other one.
  const std::vector<std::string> names = folders();
  Answers answers;
  const auto add = [&](int times, std::uint32_t label, std::uint32_t prediction) {
    for (int i = 0; i < times; ++i) answers.labels.push_back(label), answers.predictions.push_back(prediction);
  };
  for (std::uint32_t a = 0; a < 100; a += 2) add(20, a, a), add(16, a + 1, a), add(16, a, a + 1);
  const auto found = better_order(answers, names);
  REQUIRE(found.has_value());
  CHECK(found->name == "");
  for (std::uint32_t c = 0; c < 100; ++c) CHECK(found->label_of[c] == (c ^ 1));
  CHECK(found->top1 == doctest::Approx(32.0 / 52));
}

TEST_CASE("a teacher that always gives one answer has no order, however uneven the labels are") {
  Answers answers;
  RandomStream draws(6, Purpose::kSample);
  for (int i = 0; i < 400; ++i) {
    answers.labels.push_back(draws.uniform() < 0.6 ? 3u : static_cast<std::uint32_t>(draws.below(100)));
    answers.predictions.push_back(7);
  }
  CHECK_FALSE(better_order(answers, folders()).has_value());
}

TEST_CASE("beyond chance is three standard errors of a fair coin") {
  CHECK_FALSE(beyond_chance(9, 0));  // 9 = 3 * sqrt(9)
  CHECK(beyond_chance(10, 0));
  CHECK_FALSE(beyond_chance(60, 40));
  CHECK(beyond_chance(66, 34));
  CHECK_FALSE(beyond_chance(0, 0));
}
