// The names of a teacher's classes against the class folders.
#include <ATen/ATen.h>

#include "common/teacher/class_meeting.h"

#include <string>
#include <vector>

#include "common/base/error.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;

using Names = std::vector<std::string>;

TEST_CASE("names meet the folders in one of five ways") {
  const Names folders{"ant", "bee", "cat"};
  CHECK(meet_classes({}, folders) == ClassMeeting::kUnknown);
  CHECK(meet_classes(folders, {}) == ClassMeeting::kUnknown);
  CHECK(meet_classes(folders, folders) == ClassMeeting::kSame);
  CHECK(meet_classes({"cat", "ant", "bee"}, folders) == ClassMeeting::kByName);
  CHECK(meet_classes({"ant", "bee", "cat", "dog"}, folders) == ClassMeeting::kByName);
  CHECK(meet_classes({"ant", "bee", "dog"}, folders) == ClassMeeting::kStrange);
  CHECK(meet_classes({"Formicidae", "Apis", "Felis"}, folders) == ClassMeeting::kForeign);
  CHECK(ambiguous_folder({"crane", "crane", "ant", "dog", "dog"}, {"ant", "crane"}) == "crane");
  CHECK(ambiguous_folder({"cat", "dog", "dog", "bee", "ant"}, folders).empty());
  CHECK(strange_folders({"ant", "dog"}, folders) == "bee, cat");
  CHECK(strange_folders({}, {"a", "b", "c", "d", "e", "f", "g"}) == "a, b, c, d, e and 2 more");
}

TEST_CASE(
    "classes are mapped by name; a folder that the teacher does not know is refused, names of another kind are not") {
  const Names folders{"ant", "bee", "cat"};
  const auto map = map_by_name({"cat", "dog", "ant", "bee"}, folders, "photos", "");
  REQUIRE(map.has_value());
  CHECK(map->whole(std::vector<float>{1, 2, 3, 4}, 1) == std::vector<float>{3, 4, 1});
  CHECK_FALSE(map_by_name(folders, folders, "photos", "").has_value());
  CHECK_FALSE(map_by_name({}, folders, "photos", "").has_value());
  CHECK_FALSE(map_by_name({"n01", "n02", "n03"}, folders, "photos", "").has_value());
  const std::string strange = message_of([&] { map_by_name({"ant", "wasp"}, {"ant", "bee"}, "photos", "targets."); });
  CAPTURE(strange);
  CHECK(has(strange, "photos: has classes that are not among the teacher's 2 classes: bee; "));
  CHECK(has(strange, "(targets.class_map, targets.class_names)"));
  CHECK(has(message_of([&] {
              map_by_name({"ant", "crane", "crane"}, {"ant", "crane"}, "photos", "");
            }),
            "photos: class 1 and others of the teacher have the name crane"));
}
