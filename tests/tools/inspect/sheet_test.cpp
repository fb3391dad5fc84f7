#include "tests/support/message.h"
#include "tools/commands/cache/sheet.h"

#include <cmath>
#include <set>

#include "common/cache/teacher_classes.h"
#include "common/image/decode.h"
#include "tests/tools/inspect/pictures.h"
#include "tools/inspect/verify.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

Image decoded(const std::filesystem::path& path) {
  const std::string bytes = read_whole(path);
  return decode_image(std::as_bytes(std::span(bytes)), path.string());
}

// Different colours in a part of a picture.
std::size_t colours(const Image& image, int top, int left, int height, int width) {
  std::set<std::array<std::uint8_t, 3>> seen;
  for (int y = top; y < top + height; ++y)
    for (int x = left; x < left + width; ++x) {
      const std::uint8_t* pixel = image.row(y) + 3 * x;
      seen.insert({pixel[0], pixel[1], pixel[2]});
    }
  return seen.size();
}

SheetView grey_view(std::vector<float> attention, int height, int width) {
  SheetView view;
  view.picture = Image(32, 32);
  std::ranges::fill(view.picture.rgb, std::uint8_t{100});
  view.attention = std::move(attention);
  view.grid_height = height, view.grid_width = width;
  return view;
}

}  // namespace

TEST_CASE("vitrine-cache show writes a sheet of the right size with pictures, attention and captions") {
  const PictureCache cache;
  const std::filesystem::path out = cache.root / "sheet.png";
  const std::string command = executable("vitrine-cache") + " show '" + cache.directory.string() + "' --out '" +
                              out.string() + "' --images '" + cache.images.string() + "'";
  // Views 3 to 7 lie in two groups.
  const CommandResult result = run(command + " --first 3 --count 5 --track tiny.aaaaaaaa/logits --track attention.3");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  const Image sheet = decoded(out);
  const SheetSize size = sheet_size(5, true);
  CHECK(sheet.height == size.height);
  CHECK(sheet.width == size.width);
  // The first view's picture, resized, is at its place on the sheet.
  const int left = 20, top = 66;
  CHECK(colours(sheet, top, left, kSheetPicture, kSheetPicture) > 500);                      // the picture
  CHECK(colours(sheet, top, left + kSheetPicture + 8, kSheetPicture, kSheetPicture) > 500);  // attention over it
  CHECK(colours(sheet, top, left + 2 * kSheetPicture + 20, kSheetPicture, 200) > 20);        // words and bars
  CHECK(colours(sheet, 0, 0, 15, sheet.width) == 1);                                         // the margin

  CHECK(run(command + " --first 8 --count 5").exit_code == 2);  // a pass has 12 views
  CHECK(run(command + " --track features.3").exit_code == 2);
  CHECK(run(command + " --pass 1").exit_code == 2);
  CHECK(run(command + " --count 0").exit_code == 2);
}

TEST_CASE("a missing pass is named, and a teacher of other classes gets its names from a file") {
  const PictureCache cache;
  const std::string command = executable("vitrine-cache") + " show '" + cache.directory.string() + "' --out '" +
                              (cache.root / "sheet.png").string() + "' --images '" + cache.images.string() +
                              "' --track tiny.aaaaaaaa/logits";
  CommandResult result = run(command + " --pass 4294967295");
  CHECK(result.exit_code == 2);
  CHECK(result.output.find("has no recipes for pass 4294967295, group 0; its complete passes are 0") !=
        std::string::npos);
  CHECK(has(run(command + " --first 18446744073709551615").output, "a pass has 12 views"));

  result = run(command);  // the sample's logits are of 5 classes, the pictures of 4
  CHECK(result.exit_code == 0);
  CHECK(result.output.find("names of the teacher's classes: none, as it has 5 and the images 4; --class-names") !=
        std::string::npos);
  const std::string unnamed = read_whole(cache.root / "sheet.png");
  const std::filesystem::path names = cache.root / "names.txt";
  write_whole(names, "a\nb\nc\n\ne\n");
  result = run(command + " --class-names '" + names.string() + "'");
  CHECK(result.exit_code == 2);
  CHECK(has(result.output, "names.txt, line 4: is empty"));
  write_teacher_classes(cache.directory, "tiny.aaaaaaaa", {"a", "b", "c", "d", "e"});
  CHECK(has(run(command).output, "names of the teacher's classes: those that the cache records"));
  write_whole(names, "a\nb\nc\nd\n");
  CHECK(run(command + " --class-names '" + names.string() + "'").output.find("has 4 names, but the teacher has 5") !=
        std::string::npos);
  write_whole(names, "a\nb\nc\nd\ne\n");
  result = run(command + " --class-names '" + names.string() + "'");
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "names of the teacher's classes: " + names.string()));
  const std::string named = read_whole(cache.root / "sheet.png");
  CHECK(named != unnamed);
  // All classes have the label's name, so every bar is green.
  std::string all;
  for (int i = 0; i < 5; ++i) all += cache.index->classes[cache.plan->group(0, 0)[0].label] + "\n";
  write_whole(names, all);
  REQUIRE(run(command + " --count 1 --class-names '" + names.string() + "'").exit_code == 0);
  const Image sheet = decoded(cache.root / "sheet.png");
  bool green = false, blue = false;
  for (int y = 0; y < sheet.height; ++y)
    for (int x = 0; x < sheet.width; ++x) {
      const std::uint8_t* pixel = sheet.row(y) + 3 * x;
      green |= pixel[0] == 126 && pixel[1] == 196 && pixel[2] == 142;
      blue |= pixel[0] == 158 && pixel[1] == 186 && pixel[2] == 214;
    }
  CHECK(green);
  CHECK(!blue);
  const CommandResult unasked = run(executable("vitrine-cache") + " show '" + cache.directory.string() + "' --out '" +
                                    (cache.root / "sheet.png").string() + "' --images '" + cache.images.string() +
                                    "' --track attention.3 --class-names '" + names.string() + "'");
  CHECK(unasked.exit_code == 2);
  CHECK(has(unasked.output, "--class-names is for a track of logits"));
}

TEST_CASE("attention is overlaid in place: one bright cell brightens only its part") {
  std::vector<float> attention(4, 0);
  attention[3] = 0.5f;  // below, right
  const std::vector<SheetView> views{grey_view(attention, 2, 2)};
  const Image sheet = draw_sheet("t", views);
  const auto light = [&](int y, int x) {
    const std::uint8_t* pixel = sheet.row(66 + y) + 3 * (20 + kSheetPicture + 8 + x);
    return pixel[0] + pixel[1] + pixel[2];
  };
  const int near = 10, far = kSheetPicture - 10;
  CHECK(light(far, far) > light(near, near) + 200);
  CHECK(light(near, far) < light(far, far) - 200);
  CHECK(light(far, near) < light(far, far) - 200);
  // All-zero attention does not divide by zero.
  const std::vector<SheetView> dark{grey_view({0, 0, 0, 0}, 2, 2)};
  CHECK(draw_sheet("t", dark).height == sheet.height);
}

TEST_CASE("the mean over heads and the best guesses equal plain arithmetic") {
  CHECK(mean_over_heads(std::vector<float>{1, 2, 3, 5, 6, 7}, 2) == std::vector<float>{3, 4, 5});
  const std::vector<float> logits{0, std::log(3.f), std::log(6.f), -50};
  const auto guesses = best_guesses(logits, {"a", "b", "c"}, {1}, 3);
  REQUIRE(guesses.size() == 3);
  CHECK(guesses[0].name == "c");
  CHECK(guesses[0].probability == doctest::Approx(0.6));
  CHECK(guesses[1].right);
  CHECK(guesses[2].probability == doctest::Approx(0.1));
  CHECK(best_guesses(std::vector<float>{0, 1}, {"a"}, {}, 1)[0].name == "class 1");
  CHECK(mix_words({.mix = Mix::kCutMix, .lambda = 16384}) == "CutMix, 25 % own");
}

TEST_CASE("verify makes one view of every group again and reports other images") {
  const PictureCache cache;
  const VerifyReport whole = verify_cache(cache.directory, {.images = cache.images});
  CHECK(whole.findings.empty());
  CHECK(whole.pictures == 3);
  for (std::uint64_t i = 0; i < 11; ++i) cache.write_picture(i, i + 12);
  const VerifyReport other = verify_cache(cache.directory, {.images = cache.images});
  REQUIRE(other.findings.size() == 3);
  for (const Finding& finding : other.findings) CHECK(finding.remedy == Remedy::kImages);
}
