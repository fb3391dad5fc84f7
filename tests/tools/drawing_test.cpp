#include "tests/support/message.h"
#include "tools/commands/draw/drawing.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

#include "common/image/scan.h"
#include "tests/support/testing.h"

using namespace vitrine;

using vitrine::testing::executable;
using vitrine::testing::has;
using vitrine::testing::run;
using vitrine::testing::TemporaryDirectory;

TEST_CASE("a drawing is a function of its seed and number") {
  const DrawingOptions options{.seed = 7}, other{.seed = 8};
  CHECK(draw_picture(options, 5).rgb == draw_picture(options, 5).rgb);
  CHECK(draw_picture(options, 5).rgb != draw_picture(options, 21).rgb);  // same class
  CHECK(draw_picture(options, 5).rgb != draw_picture(other, 5).rgb);
}

TEST_CASE("drawings have the requested sizes and use the full range of levels") {
  std::set<int> sides;
  for (std::uint64_t number = 0; number < 40; ++number) {
    const Image image = draw_picture({.size = 48}, number);
    for (const int side : {image.height, image.width}) {
      CHECK(side >= 40);
      CHECK(side <= 64);
      sides.insert(side);
    }
    const auto [low, high] = std::minmax_element(image.rgb.begin(), image.rgb.end());
    CHECK(*high - *low > 60);
  }
  CHECK(sides.size() > 10);
}

TEST_CASE("classes alternate, and their names are in alphabetical order") {
  for (const int species : {2, 4, 6, 7, 15}) {
    const DrawingOptions options{.species = species};
    const auto names = drawing_classes(options);
    REQUIRE(names.size() == static_cast<std::size_t>(species * species));
    CHECK(std::is_sorted(names.begin(), names.end()));
    std::set<int> labels;
    for (std::uint64_t number = 100; number < 100 + names.size(); ++number)
      labels.insert(drawing_label(options, number));
    CHECK(labels.size() == names.size());
  }
}

TEST_CASE("more species than shapes and textures: each has a pair of its own, and fewer classes are the first ones") {
  const DrawingOptions all{.size = 32, .species = 15}, some{.size = 32, .species = 15, .classes = 200};
  const auto names = drawing_classes(all), first = drawing_classes(some);
  CHECK(std::set<std::string>(names.begin(), names.end()).size() == 225);
  REQUIRE(first.size() == 200);
  CHECK(std::equal(first.begin(), first.end(), names.begin()));
  CHECK(drawing_label(some, 200) == 0);
  CHECK(draw_picture(some, 199).rgb == draw_picture(all, 199).rgb);
  CHECK(drawing_classes({.species = 2, .classes = 3}) ==
        std::vector<std::string>{"bori_bori", "bori_dapu", "dapu_bori"});
}

TEST_CASE("vitrine-draw writes disjoint splits, deterministically") {
  const TemporaryDirectory root;
  const std::string words = " --size 32 --seed 3 --classes 4 --split train=20 --split val=8";
  REQUIRE(run(executable("vitrine-draw") + " " + (root / "one").string() + words).exit_code == 0);
  REQUIRE(run(executable("vitrine-draw") + " " + (root / "two").string() + words).exit_code == 0);
  const ImageIndex train = scan_image_folder(root / "one/train", nullptr),
                   val = scan_image_folder(root / "one/val", nullptr);
  CHECK(train.images.size() == 20);
  CHECK(val.images.size() == 8);
  CHECK(train.classes.size() == 4);
  CHECK(scan_image_folder(root / "two/train", nullptr) == train);
  std::set<std::uint64_t> hashes;
  for (const ImageIndex* index : {&train, &val})
    for (const ImageEntry& image : index->images) hashes.insert(image.hash);
  CHECK(hashes.size() == 28);
}

TEST_CASE("vitrine-draw refuses bad input in one sentence") {
  const TemporaryDirectory root;
  const std::string command = executable("vitrine-draw") + " " + (root / "out").string();
  CHECK(has(run(command).output, "--images COUNT"));
  CHECK(has(run(command + " --split val").output, "--split val=1000"));
  for (const char* classes : {"1", "226"}) {
    const auto wrong = run(command + " --images 4 --classes " + classes);
    CHECK(wrong.exit_code == 2);
    CHECK(wrong.output.find("vitrine-draw: --classes: ") == 0);
  }
  REQUIRE(run(command + " --images 4 --classes 4 --size 24").exit_code == 0);
  const auto again = run(command + " --images 4 --classes 4 --size 24");
  CHECK(again.exit_code == 2);
  CHECK(has(again.output, "is not empty"));
}

TEST_CASE("vitrine-draw --dry-run names its folders and writes nothing") {
  const TemporaryDirectory root;
  const std::string out = (root / "out").string();
  const auto result =
      run(executable("vitrine-draw") + " " + out + " --classes 4 --split train=20 --split val=1 --dry-run");
  CHECK(result.exit_code == 0);
  CHECK(result.output ==
        "would write " + out + "/train: 20 images in 4 classes\nwould write " + out + "/val: 1 image in 4 classes\n");
  CHECK_FALSE(std::filesystem::exists(root / "out"));
}
