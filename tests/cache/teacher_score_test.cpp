#include "common/cache/teacher_score.h"

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
