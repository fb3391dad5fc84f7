#include "common/teacher/class_map.h"

#include <cmath>
#include <limits>

#include "common/base/error.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::write_whole;

namespace {

struct Files {
  vitrine::testing::TemporaryDirectory root;
  ClassMapFiles map(const std::string& content) const {
    write_whole(root / "map.txt", content);
    return {(root / "map.txt").string(), ""};
  }
  ClassMapFiles names(const std::string& content) const {
    write_whole(root / "names.txt", content);
    return {"", (root / "names.txt").string()};
  }
  ClassMapFiles both(const std::string& map_content, const std::string& names_content) const {
    return {map(map_content).map, names(names_content).names};
  }
};

const std::vector<std::string> kStudent{"ant", "bee", "great cat"};
constexpr float kNever = -std::numeric_limits<float>::infinity();

// Where each teacher class goes: seen in the mapped logits of a view in which it alone is large.
std::vector<int> where(const ClassMap& map) {
  std::vector<int> out;
  for (std::uint32_t t = 0; t < map.teacher_classes(); ++t) {
    std::vector<float> logits(map.teacher_classes(), 0);
    logits[t] = 50;
    const std::vector<float> whole = map.whole(logits, 1);
    out.push_back(-1);
    for (std::size_t s = 0; s < whole.size(); ++s)
      if (whole[s] >= 50) out.back() = static_cast<int>(s);
  }
  return out;
}

}  // namespace

TEST_CASE("mapped logits are the log of summed powers, of one class its own, and of none minus infinity") {
  const ClassMap map({2, ClassMap::kNowhere, 0, 2}, 3, "map");
  CHECK(map.columns() == std::vector<std::uint32_t>{0, 2});
  CHECK(map.teacher_classes() == 4);
  CHECK(map.dropped() == 1);
  const std::vector<float> logits{1.5f, 9, -0.3f, 0.25f, 100, 1, -100, 100};
  const std::vector<float> compact = map.compact(logits, 2), whole = map.whole(logits, 2);
  CHECK(compact[0] == -0.3f);
  CHECK(compact[1] == doctest::Approx(std::log(std::exp(1.5) + std::exp(0.25))));
  CHECK(compact[2] == -100);
  CHECK(compact[3] == doctest::Approx(100 + std::log(2.0)));  // no overflow on the way
  CHECK(whole == std::vector<float>{compact[0], kNever, compact[1], compact[2], kNever, compact[3]});
  const double all = std::exp(1.5) + std::exp(9.0) + std::exp(-0.3f) + std::exp(0.25);
  CHECK(map.dropped_probability(std::span(logits).first(4), 1) == doctest::Approx(std::exp(9.0) / all));
  CHECK(map.dropped_probability(logits, 2) == doctest::Approx(std::exp(9.0) / all / 2));
}

TEST_CASE("a map of all classes onto themselves changes no bit") {
  const ClassMap map({0, 1, 2}, 3, "map");
  const std::vector<float> logits{0.1f, -7.25f, 3e-9f, 1e30f, -1e30f, 0};
  CHECK(map.compact(logits, 2) == logits);
  CHECK(map.dropped_probability(logits, 2) == 0);
}

TEST_CASE("a file of two columns, by number or by name, with comments") {
  const Files files;
  CHECK(where(read_class_map(files.map("# teacher student\n0 bee\n\n3 0   # an ant\n  1\tgreat cat\r\n2\t1\n"), 5,
                             kStudent)) == std::vector<int>{1, 2, 1, 0, -1});
  CHECK(where(read_class_map(files.both("house cat\tgreat cat\nlion\t2\n#nothing\n0 ant\n", "ant\nlion\nhouse cat\n"),
                             3, kStudent)) == std::vector<int>{0, 2, 2});
  // A name that looks like a number is a name.
  CHECK(where(read_class_map(files.map("0 10\n1 2\n2 9\n"), 3, {"0", "10", "2", "9"})) == std::vector<int>{1, 2, 3});
  // Classes that are known by number alone.
  const ClassMap numbers = read_class_map(files.map("0 6\n1 2\n"), 2, {});
  CHECK(numbers.student_classes() == 7);
  CHECK(numbers.columns() == std::vector<std::uint32_t>{2, 6});
}

TEST_CASE("class names alone are matched") {
  const Files files;
  const ClassMap map = read_class_map(files.names("lion\ngreat cat \nant\nlion\n\n"), 4, kStudent);
  CHECK(where(map) == std::vector<int>{-1, 2, 0, -1});
  CHECK(map.columns() == std::vector<std::uint32_t>{0, 2});
}

TEST_CASE("what is wrong in a file is said with its line") {
  const Files files;
  const auto of_map = [&](const std::string& content, const std::vector<std::string>& names = kStudent) {
    return message_of([&] { read_class_map(files.map(content), 3, names); });
  };
  CHECK(has(of_map("0 ant\n1\n"), "map.txt, line 2: \"1\" is not two columns"));
  CHECK(has(of_map("0 great cat\n"), "line 1: \"0 great cat\" is not two columns"));
  CHECK(has(of_map("0\tant\tbee\n"), "not two columns"));
  CHECK(has(of_map("# none\n\n0 ant\n3 bee\n"), "line 4: 3 is not a class of the teacher, which has 3 classes"));
  CHECK(has(of_map("0 3\n"), "line 1: 3 is not a class of the student, which has 3 classes"));
  CHECK(has(of_map("-1 ant\n"), "line 1: -1 is neither a number nor the name"));
  CHECK(has(of_map("lion ant\n"), "whose names are not known (class_names gives them)"));
  CHECK(has(of_map("0 wasp\n"), "wasp is neither a number nor the name of a class of the student"));
  CHECK(has(of_map("0 ant\n1 bee\n0 bee\n"), "line 3: teacher class 0 is mapped again, after line 1"));
  CHECK(has(of_map("0 ant\n1 ant\n"), "maps only 1 of the student's 3 classes"));
  CHECK(has(of_map("0 4000000000\n", {}), "at most"));
  for (const ClassMapFiles& given : {files.map("0 ant\n1 bee\n"), files.names("ant\nbee\n")})
    CHECK(has(message_of([&] { read_class_map(given, 0, kStudent); }),
              ".txt: maps a teacher's classes, but the teacher has no logits; leave out class_map and class_names"));
  CHECK(has(message_of([&] { read_class_map({(files.root / "absent").string(), ""}, 3, kStudent); }), "absent"));

  const auto of_names = [&](const std::string& content, const std::vector<std::string>& names = kStudent) {
    return message_of([&] { read_class_map(files.names(content), 3, names); });
  };
  CHECK(has(of_names("ant\nbee\n"), "names.txt: has 2 names, but the teacher has 3 classes"));
  CHECK(has(of_names("ant\n\nbee\n"), "line 2: is empty"));
  CHECK(has(of_names("ant\nbee\nbee\n"), "line 2: several classes of the teacher have the name bee"));
  CHECK(has(of_names("x\ny\nz\n"), "maps only 0 of the student's 3 classes"));
  CHECK(has(of_names("ant\nbee\nz\n", {}), "give a class_map of numbers"));
  CHECK(has(message_of([&] { read_class_map(files.both("bee ant\n", "ant\nbee\nbee\n"), 3, kStudent); }),
            "several classes of the teacher have the name bee; name them by number"));
}
