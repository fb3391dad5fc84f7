#include "common/image/views.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <tuple>

#include "common/base/error.h"
#include "common/base/philox.h"
#include "common/codec/isa.h"
#include "common/image/augment.h"
#include "common/image/scan.h"
#include "common/image/transform.h"
#include "common/image/write.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;

namespace {

Image noise(int height, int width, std::uint64_t seed) {
  Image image(height, width);
  RandomStream stream(seed, Purpose::kSample);
  for (auto& value : image.rgb) value = static_cast<std::uint8_t>(stream.bits());
  return image;
}

Image plain(int height, int width, std::uint8_t value) {
  Image image(height, width);
  std::fill(image.rgb.begin(), image.rgb.end(), value);
  return image;
}

// Two classes, three images: 0 all 10, 1 all 201, 2 noise of 48 × 40.
struct Folder {
  TemporaryDirectory root;
  std::shared_ptr<const ImageIndex> index;
  Folder() {
    put("a/0.png", plain(32, 32, 10));
    put("a/1.png", plain(20, 30, 201));
    put("b/2.png", noise(48, 40, 3));
    index = std::make_shared<ImageIndex>(scan_image_folder(root.path(), nullptr));
  }
  void put(const std::string& id, const Image& image) {
    const auto bytes = encode_png(image);
    write_whole(root / id, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  Recipe whole(std::uint32_t image) const {
    const ImageEntry& entry = index->images.at(image);
    return {.image = image,
            .label = entry.label,
            .height = static_cast<std::int32_t>(entry.height),
            .width = static_cast<std::int32_t>(entry.width)};
  }
};

}  // namespace

TEST_CASE("mixing bytes rounds to the nearest level") {
  CHECK(mix_bytes(255, 0, 32768) == 128);    // 127.5 up
  CHECK(mix_bytes(10, 200, 16384) == 153);   // 2.5 + 150 = 152.5 up
  CHECK(mix_bytes(100, 200, 65535) == 100);  // 100.0015
  CHECK(mix_bytes(100, 200, 1) == 200);      // 199.998
  CHECK(mix_bytes(255, 255, 12345) == 255);
  CHECK(mix_bytes(0, 3, 43691) == 1);  // 3 · 21845 / 65536 = 0.99998
}

TEST_CASE("box edges are rounded to another grid and stay inside it") {
  CHECK(scale_edge(0, 224, 96) == 0);
  CHECK(scale_edge(224, 224, 96) == 96);
  CHECK(scale_edge(7, 224, 96) == 3);  // 3.0
  CHECK(scale_edge(8, 224, 96) == 3);  // 3.43
  CHECK(scale_edge(1, 8, 4) == 1);     // 0.5 up
  for (int edge = 0; edge <= 224; ++edge) CHECK(scale_edge(edge, 224, 224) == edge);
}

TEST_CASE("a group's views are mixed from its plain views") {
  const Folder folder;
  const ViewMaker views(folder.root.path(), folder.index, 32);
  Recipe mix_up = folder.whole(0), cut_mix = folder.whole(1), none = folder.whole(2);
  mix_up.mix = Mix::kMixUp, mix_up.partner = 1, mix_up.lambda = 49152;
  cut_mix.mix = Mix::kCutMix, cut_mix.partner = 0, cut_mix.lambda = 65536 - 65536 / 4;
  cut_mix.box_top = 8, cut_mix.box_left = 0, cut_mix.box_bottom = 24, cut_mix.box_right = 16;
  const std::vector<Recipe> recipes{mix_up, cut_mix, none};

  SUBCASE("on the teacher's grid") {
    const auto pictures = views.group(recipes, 32);
    REQUIRE(pictures.size() == 3u * 32 * 32 * 3);
    for (int i = 0; i < 32 * 32 * 3; ++i) CHECK(pictures[i] == 58);  // 10 · 0.75 + 201 · 0.25 = 57.75
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 32; ++x) {
        const bool in_box = y >= 8 && y < 24 && x < 16;
        CHECK(pictures[(32 * 32 + y * 32 + x) * 3] == (in_box ? 10 : 201));  // the partner unmixed
      }
    const Image alone = crop_resize(views.picture(2), 0, 0, 48, 40, 32, 32, false);
    CHECK(std::equal(alone.rgb.begin(), alone.rgb.end(), pictures.end() - 32 * 32 * 3));
  }
  SUBCASE("on a coarser grid the box is rounded") {
    const auto pictures = views.group(recipes, 12);  // edges 8, 24, 16 of 32 are 3, 9, 6 of 12
    for (int y = 0; y < 12; ++y)
      for (int x = 0; x < 12; ++x) CHECK(pictures[(12 * 12 + y * 12 + x) * 3] == (y >= 3 && y < 9 && x < 6 ? 10 : 201));
  }
  SUBCASE("a box has no effect without CutMix, whatever a file says") {
    std::vector<Recipe> strange = recipes;
    for (const std::size_t i : {0, 2}) strange[i].box_top = 9, strange[i].box_bottom = 3, strange[i].box_right = 60000;
    CHECK(views.group(strange, 32) == views.group(recipes, 32));
  }
  SUBCASE("two makers on two threads give the same bytes") {
    const auto here = views.group(recipes, 24);
    std::vector<std::uint8_t> there;
    std::thread([&] { there = ViewMaker(folder.root.path(), folder.index, 32).group(recipes, 24); }).join();
    CHECK(here == there);
    CHECK(picture_hash(here) == picture_hash(there));
    CHECK(picture_hash(std::span(here).first(100)) != picture_hash(here));
  }
}

TEST_CASE("a letterboxed view is the whole picture in its box on the mean colour, at any size") {
  const Folder folder;
  const ViewMaker views(folder.root.path(), folder.index, 32);
  Recipe recipe = folder.whole(2);  // 48 × 40
  recipe.box_left = 3, recipe.box_bottom = 32, recipe.box_right = 30;
  for (const auto& [size, left, right] : {std::tuple{32, 3, 30}, {16, 2, 15}, {45, 4, 42}, {1, 0, 1}})
    for (const bool flip : {false, true}) {
      CAPTURE(size);
      recipe.flip = flip ? 1 : 0;
      const std::vector<std::uint8_t> view = views.group(std::vector{recipe}, size);
      const Image picture = crop_resize(noise(48, 40, 3), 0, 0, 48, 40, size, right - left, flip);
      for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; ++x) {
          const std::uint8_t* const pixel = view.data() + 3 * (y * size + x);
          const bool inside = x >= left && x < right;
          CHECK(std::equal(pixel, pixel + 3, inside ? picture.row(y) + 3 * (x - left) : kPadding));
        }
    }
  recipe.box_right = 33;
  CHECK_THROWS_AS(views.group(std::vector{recipe}, 32), std::logic_error);
}

TEST_CASE("crops and flips") {
  const Image image = noise(21, 17, 1);
  const Image crop = crop_resize(image, 3, 4, 9, 8, 9, 8, false);
  for (int y = 0; y < 9; ++y) CHECK(std::equal(crop.row(y), crop.row(y) + 24, image.row(y + 3) + 12));
  const Image mirrored = crop_resize(image, 3, 4, 9, 8, 9, 8, true);
  for (int x = 0; x < 8; ++x) CHECK(mirrored.row(5)[3 * x + 1] == crop.row(5)[3 * (7 - x) + 1]);
  const Image grown = crop_resize(image, 3, 4, 9, 8, 30, 40, false);
  Image moved = noise(21, 17, 2);  // other pixels outside of the crop
  for (int y = 3; y < 12; ++y) std::copy(image.row(y) + 12, image.row(y) + 36, moved.row(y) + 12);
  CHECK(crop_resize(moved, 3, 4, 9, 8, 30, 40, false).rgb == grown.rgb);
  CHECK_THROWS_AS(crop_resize(image, 13, 0, 9, 8, 5, 5, false), std::logic_error);
}

TEST_CASE("resampling gives the same bytes on every instruction set") {
  for (const auto& [height, width] : {std::pair{1, 1}, {3, 2}, {40, 7}, {97, 131}, {333, 500}}) {
    Image image = noise(height, width, 9);
    for (std::size_t i = 0; i < image.rgb.size(); i += 2) image.rgb[i] = image.rgb[i] < 128 ? 0 : 255;  // overshoot
    for (const auto& [rows, columns] : {std::pair{1, 1}, {5, 6}, {16, 11}, {64, 64}, {224, 225}}) {
      CAPTURE(height);
      CAPTURE(rows);
      const auto made = [&](Isa isa) {
        const IsaOverride here(isa);
        return crop_resize(image, height / 4, width / 3, height - height / 4, width - width / 3, rows, columns, false);
      };
      const Image expected = made(Isa::kPortable);
      if (best_isa() >= Isa::kAvx2) CHECK(made(Isa::kAvx2).rgb == expected.rgb);
      CHECK(made(best_isa()).rgb == expected.rgb);
    }
  }
}

TEST_CASE("an image that changed after the index was made is refused by name") {
  Folder folder;
  const ViewMaker views(folder.root.path(), folder.index, 32);
  folder.put("a/0.png", plain(32, 32, 11));
  const std::vector<Recipe> recipes{folder.whole(0)};
  CHECK_THROWS_WITH_AS(views.group(recipes, 32), doctest::Contains("a/0.png"), Error);
  std::filesystem::remove(folder.root / "a/0.png");
  CHECK_THROWS_AS(views.picture(0), Error);
}

TEST_CASE("augmentation is a pure function of its position, and the identity at strength zero") {
  const Image image = noise(32, 32, 9);
  const auto with = [&](const AugmentOptions& options, std::uint64_t seed, std::uint32_t epoch, std::uint32_t pass,
                        std::uint64_t position) {
    auto picture = image.rgb;
    augment(picture, 32, options, seed, epoch, pass, position);
    return picture;
  };
  const AugmentOptions usual;
  const auto once = with(usual, 1, 2, 3, 4);
  CHECK(with(usual, 1, 2, 3, 4) == once);
  CHECK(once != image.rgb);
  CHECK(with(usual, 2, 2, 3, 4) != once);
  CHECK(with(usual, 1, 3, 3, 4) != once);
  CHECK(with(usual, 1, 2, 4, 4) != once);
  CHECK(with(usual, 1, 2, 3, 5) != once);

  const AugmentOptions none{.brightness = 0, .contrast = 0, .saturation = 0, .hue = 0, .erase_probability = 0};
  for (std::uint64_t position = 0; position < 20; ++position) CHECK(with(none, 1, 0, 0, position) == image.rgb);
}

TEST_CASE("erasing fills one rectangle of the allowed size with the mean colour") {
  AugmentOptions options{.brightness = 0, .contrast = 0, .saturation = 0, .hue = 0, .erase_probability = 1};
  options.fill = {7, 8, 9};
  constexpr int kSize = 64;
  int erased_views = 0;
  for (std::uint64_t position = 0; position < 200; ++position) {
    Image image = plain(kSize, kSize, 100);
    augment(image.rgb, kSize, options, 5, 0, 0, position);
    int count = 0, top = kSize, left = kSize, bottom = 0, right = 0;
    for (int y = 0; y < kSize; ++y)
      for (int x = 0; x < kSize; ++x) {
        const std::uint8_t* pixel = image.row(y) + 3 * x;
        if (pixel[0] == 100) continue;
        REQUIRE((pixel[0] == 7 && pixel[1] == 8 && pixel[2] == 9));
        ++count, top = std::min(top, y), left = std::min(left, x), bottom = std::max(bottom, y + 1),
                 right = std::max(right, x + 1);
      }
    if (count == 0) continue;
    ++erased_views;
    CHECK(count == (bottom - top) * (right - left));
    CHECK(count > 0.015 * kSize * kSize);  // the share, minus the rounding of two sides
    CHECK(count < 0.35 * kSize * kSize);
  }
  CHECK(erased_views > 190);
}

TEST_CASE("each step of the jitter keeps its invariant") {
  const AugmentOptions none{.brightness = 0, .contrast = 0, .saturation = 0, .hue = 0, .erase_probability = 0};
  AugmentOptions one = none;
  Image grey = plain(8, 8, 90);
  SUBCASE("hue and saturation leave grey pixels alone") {
    one.hue = 0.5, one.saturation = 1;
    augment(grey.rgb, 8, one, 1, 0, 0, 0);
    for (const auto value : grey.rgb) CHECK(std::abs(value - 90) <= 1);  // truncation of the weighted sum
  }
  SUBCASE("contrast keeps the mean of a flat picture") {
    one.contrast = 1;
    augment(grey.rgb, 8, one, 1, 0, 0, 0);
    for (const auto value : grey.rgb) CHECK(std::abs(value - 90) <= 1);
  }
  SUBCASE("brightness scales all channels equally") {
    one.brightness = 0.5;
    augment(grey.rgb, 8, one, 1, 0, 0, 0);
    CHECK(grey.rgb[0] != 90);
    CHECK(grey.rgb[0] >= 44);
    CHECK(grey.rgb[0] <= 135);
    CHECK(std::all_of(grey.rgb.begin(), grey.rgb.end(), [&](auto value) { return value == grey.rgb[0]; }));
  }
}

TEST_CASE("a picture that fails is read again from the start") {
  const Folder folder;
  const std::filesystem::path file = folder.root.path() / folder.index->images[1].id;
  const std::string sound = vitrine::testing::read_whole(file);
  std::vector<int> pauses;
  const auto restore_at = [&](int number) {
    return PictureTries{3, [&, number](int n) {
                          pauses.push_back(n);
                          if (n == number) vitrine::testing::write_whole(file, sound);
                        }};
  };
  vitrine::testing::write_whole(file, sound.substr(0, sound.size() / 2));
  CHECK(ViewMaker(folder.root.path(), folder.index, 32, nullptr, restore_at(2)).picture(1).height == 20);
  CHECK(pauses == std::vector<int>{1, 2});
  vitrine::testing::write_whole(file, sound.substr(0, sound.size() / 2));
  pauses.clear();
  CHECK_THROWS_WITH_AS(ViewMaker(folder.root.path(), folder.index, 32, nullptr, restore_at(3)).picture(1),
                       doctest::Contains(folder.index->images[1].id.c_str()), Error);
  CHECK(pauses == std::vector<int>{1, 2});
}

TEST_CASE("views that need an unreadable picture are marked, and the others are unchanged") {
  const Folder folder;
  const PictureTries at_once{2, [](int) {}};
  Recipe mixes_bad = folder.whole(0), bad_alone = folder.whole(1), mixed_in = folder.whole(2), sound = folder.whole(0);
  mixes_bad.mix = Mix::kMixUp, mixes_bad.partner = 1, mixes_bad.lambda = 49152;
  sound.mix = Mix::kMixUp, sound.partner = 2, sound.lambda = 32768;
  const std::vector<Recipe> plan{mixes_bad, bad_alone, mixed_in, sound};
  const std::vector<std::uint8_t> whole = ViewMaker(folder.root.path(), folder.index, 32).group(plan, 32);
  std::filesystem::remove(folder.root.path() / folder.index->images[1].id);

  const auto skip = std::make_shared<BadPictures>(BadImages::kSkip, 3, 0.5);
  std::vector<LeftOut> told;
  skip->on_new([&](const LeftOut& entry) { told.push_back(entry); });
  const ViewMaker views(folder.root.path(), folder.index, 32, skip, at_once);
  std::vector<Recipe> recipes = plan;
  const std::vector<std::uint8_t> pictures = views.group_or_mark(recipes, 32);
  constexpr std::size_t kView = 32 * 32 * 3;
  for (std::size_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    CHECK(is_left_out(recipes[i]) == (i < 2));
    const auto view = std::span(pictures).subspan(i * kView, kView);
    if (i < 2) CHECK(std::ranges::count(view, 0) == kView);
    if (i >= 2) CHECK(std::ranges::equal(view, std::span(whole).subspan(i * kView, kView)));
    recipes[i].flags = 0;
    CHECK((recipes[i] == plan[i]));  // nothing else of a recipe changes
  }
  REQUIRE(told.size() == 1);
  CHECK(told[0].id == folder.index->images[1].id);
  CHECK(told[0].kind == LeftOutKind::kFailedLater);

  SUBCASE("any maker makes marked views without their images") {
    recipes[0].flags = recipes[1].flags = kViewLeftOut;
    CHECK(ViewMaker(folder.root.path(), folder.index, 32, nullptr, at_once).group(recipes, 32) == pictures);
  }
  SUBCASE("the hashed view is the first one at or after its position that is not left out") {
    recipes[0].flags = recipes[1].flags = kViewLeftOut;
    CHECK(hashed_view(recipes, 3) == 3);
    CHECK(hashed_view(recipes, 4) == 2);
    CHECK(hashed_view(plan, 4) == 0);
    CHECK(hash_of_group(recipes, 4, pictures) == picture_hash(std::span(pictures).subspan(2 * kView, kView)));
    for (Recipe& recipe : recipes) recipe.flags = kViewLeftOut;
    CHECK(!hashed_view(recipes, 0));
    CHECK(hash_of_group(recipes, 0, pictures) == 0);
  }
  SUBCASE("without bad_images = skip the picture stops the run, and the remedy is named") {
    const auto stop = std::make_shared<BadPictures>(BadImages::kStop, 3, 0.5);
    recipes = plan;
    CHECK_THROWS_WITH_AS(ViewMaker(folder.root.path(), folder.index, 32, stop, at_once).group_or_mark(recipes, 32),
                         doctest::Contains("bad_images = \"skip\""), Error);
  }
  SUBCASE("too many failures mean another folder or a lost disk, and stop the run") {
    std::filesystem::remove(folder.root.path() / folder.index->images[2].id);
    recipes = plan;
    CHECK_THROWS_WITH_AS(views.group_or_mark(recipes, 32), doctest::Contains("2 of 3 images cannot be read"), Error);
  }
}

TEST_CASE("the centre of a picture of any shape is cropped without resizing the whole picture") {
  // Equal to resizing the whole picture and then cropping, on either axis.
  const Image tall = noise(400, 7, 3);
  const Image made = centre_view(tall, 32, {0.875});  // 36 wide, 2057 high; rows 1012 to 1044 of them
  const Image whole = crop_resize(tall, 0, 0, 400, 7, 2057, 36, false);
  CHECK(made.rgb == crop_resize(whole, 1012, 2, 32, 32, 32, 32, false).rgb);
  // Resizing the whole pictures would take 12 GB, and a side beyond 2^31.
  for (const auto& [height, width] : {std::pair{65535, 1}, {1, 65535}, {1000000, 1}}) {
    Image line(height, width);
    std::ranges::fill(line.rgb, std::uint8_t{77});
    const Image view = centre_view(line, 4096, {0.9});
    CHECK(view.height == 4096);
    CHECK(std::ranges::count(view.rgb, 77) == 4096 * 4096 * 3);
  }
}
