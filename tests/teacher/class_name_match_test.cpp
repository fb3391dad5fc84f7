// The names of a teacher's classes against the class folders.
#include <ATen/ATen.h>

#include "common/teacher/class_name_match.h"

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
  CHECK(compare_class_names({}, folders) == ClassNameMatch::kUnknown);
  CHECK(compare_class_names(folders, {}) == ClassNameMatch::kUnknown);
  CHECK(compare_class_names(folders, folders) == ClassNameMatch::kSame);
  CHECK(compare_class_names({"cat", "ant", "bee"}, folders) == ClassNameMatch::kByName);
  CHECK(compare_class_names({"ant", "bee", "cat", "dog"}, folders) == ClassNameMatch::kByName);
  CHECK(compare_class_names({"ant", "bee", "dog"}, folders) == ClassNameMatch::kPartial);
  CHECK(compare_class_names({"Formicidae", "Apis", "Felis"}, folders) == ClassNameMatch::kDisjoint);
  CHECK(ambiguous_folder({"crane", "crane", "ant", "dog", "dog"}, {"ant", "crane"}) == "crane");
  CHECK(ambiguous_folder({"cat", "dog", "dog", "bee", "ant"}, folders).empty());
  CHECK(unmatched_folders({"ant", "dog"}, folders) == "bee, cat");
  CHECK(unmatched_folders({}, {"a", "b", "c", "d", "e", "f", "g"}) == "a, b, c, d, e and 2 more");
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
