#include "tests/support/message.h"
#include "tools/commands/cache/estimate_report.h"

#include <iostream>
#include <sstream>

#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;

namespace {

// Two passes of 1,000 views: calibration of 1 h, then 3.6 s a view.
Estimate sample_estimate() {
  Estimate e;
  e.images = 1281167, e.read = 500;
  e.views_a_pass = 1000, e.sampled = 512, e.passes = 2, e.workers = 4;
  e.tracks = {{"vit.0123abcd/logits", "uniform", 1000}, {"vit.0123abcd/features.11", "transform", 9000}};
  e.recipes_a_view = 20;
  e.once = 5e6;
  e.decode = 0.1, e.read_one_core = 0.5;
  e.costs = {.extraction = 3.6, .read = 0.1, .live = 1.1, .calibration = 3.6};
  return e;
}

std::string words_of(const Estimate& estimate, double epochs) {
  std::ostringstream out;
  std::streambuf* const before = std::cout.rdbuf(out.rdbuf());
  print_estimate(estimate, epochs);
  std::cout.rdbuf(before);
  return out.str();
}

}  // namespace

TEST_CASE("an estimate's text and JSON have the same content") {
  const Estimate e = sample_estimate();
  const std::string words = words_of(e, 3);
  CAPTURE(words);
  const auto says = [&](const char* what) { return words.find(what) != std::string::npos; };
  const auto json = estimate_json(e, 3);
  // 1 h and 2,000 views of 3.6 s.
  CHECK(json["hours"].get<double>() == doctest::Approx(3));
  CHECK(says("extraction: 3 h 00 min, 1 h 00 min of it calibration; 2,000 views at 0.278 views/s"));
  // 10,020 bytes of 2,000 views, and 5 MB once.
  CHECK(json["bytes_per_view"] == 10020);
  CHECK(json["recipes"]["bytes"] == 40000);
  CHECK(json["bytes"].get<double>() == doctest::Approx(20.04e6 + 5e6));
  CHECK(says("25.0 MB"));
  CHECK(says("recipes"));
  CHECK(says("index and bases"));
  // 2 passes of 3.6 s and calibration's 3.6 s, at 1 s saved an epoch.
  CHECK(json["break_even_epochs"].get<double>() == doctest::Approx(10.8));
  CHECK(says("from 11 epochs on"));
  CHECK(says("(4 students of 3 epochs)"));  // of 3.6
  CHECK(json["break_even_students"].get<double>() == doctest::Approx(3.6));
  for (const double epochs : {10.8, 300.0}) {
    CAPTURE(epochs);
    CHECK(words_of(e, epochs).find("(within the first student of ") != std::string::npos);
  }
  CHECK(json["images_counted_by"] == "listing");
  CHECK(says("1,281,167 images by listing the folders; 500 of them were read for a sample of 512 views"));
  CHECK(says("not in it: making the index"));
}

TEST_CASE("an estimate says when it used a cache's index, and when a cache never pays") {
  Estimate e = sample_estimate();
  e.indexed = true;
  e.costs.live = 0.05;
  const std::string words = words_of(e, 0);
  CHECK(has(words, "1,281,167 images by the cache's index"));
  CHECK(words.find("not in it") == std::string::npos);
  CHECK(has(words, "break-even: never"));
  CHECK(estimate_json(e, 0)["images_counted_by"] == "index");
  CHECK(estimate_json(e, 0)["break_even_epochs"].is_null());
  CHECK(!estimate_json(e, 0).contains("break_even_students"));
}
