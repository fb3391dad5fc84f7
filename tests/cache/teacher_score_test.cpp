#include "common/cache/teacher_classes.h"
#include "common/cache/teacher_score.h"

#include <string>
#include <vector>

#include "tests/support/files.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

TEST_CASE("a score is read back, and a damaged or newer one is named") {
  const TemporaryDirectory root;
  CHECK_FALSE(read_teacher_score(root.path(), "vit.01234567").has_value());
  const TeacherScore score{100, 0.5, 0.75, 0.25, 0.125};
  write_teacher_score(root.path(), "vit.01234567", score);
  CHECK(read_teacher_score(root.path(), "vit.01234567") == score);
  write_teacher_score(root.path(), "vit.01234567", {1, 0, 0, 0, 0});  // the first one stays
  CHECK(read_teacher_score(root.path(), "vit.01234567") == score);
  CHECK(has(message_of([&] { TeacherScore::from_json("{", "x.json"); }), "x.json"));
  std::string json = score.json();
  CHECK(has(message_of(
                [&] { TeacherScore::from_json(json.replace(json.find("\"version\": 1"), 12, "\"version\": 2"), "x"); }),
            "newer vitrine"));
  json = score.json();
  CHECK(
      has(message_of([&] { TeacherScore::from_json(json.replace(json.find("0.5,"), 4, "1.5,"), "x"); }), "top1 = 1.5"));
}

TEST_CASE("a teacher's class names are read back, and a file without a list of names is corrupt") {
  const TemporaryDirectory root;
  CHECK(read_teacher_classes(root.path(), "vit.01234567").empty());
  const std::vector<std::string> names{"bee", "ant\n", "\xc3\xa9l\xc3\xa9phant"};
  write_teacher_classes(root.path(), "vit.01234567", names);
  // The first ones stay, and others are refused.
  const auto other = [&](const std::vector<std::string>& now) {
    return message_of([&] { write_teacher_classes(root.path(), "vit.01234567", now); });
  };
  CHECK(has(other({"bee", "wasp", names[2]}),
            "classes.json: names class 1 ant\n, which is now wasp; use the same names"));
  CHECK(has(other({"bee"}), "classes.json: names 3 classes, which are now 1; "));
  CHECK(other(names).empty());
  CHECK(read_teacher_classes(root.path(), "vit.01234567") == names);
  const auto refused = [&](const std::string& json) {
    write_whole(root.path() / "vit.01234567" / kTeacherClassesFile, json);
    return message_of([&] { read_teacher_classes(root.path(), "vit.01234567"); });
  };
  CHECK(has(refused("["), "classes.json"));
  CHECK(has(refused(R"({"format": "vitrine teacher classes", "version": 1, "names": [1]})"), "names"));
  CHECK(has(refused(R"({"format": "vitrine teacher classes", "version": 1, "names": []})"), "names is empty"));
  CHECK(has(refused(R"({"format": "vitrine teacher classes", "version": 2, "names": ["a"]})"), "newer vitrine"));
}
