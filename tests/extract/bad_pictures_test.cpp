#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/image/index_record.h"
#include "common/image/left_out.h"
#include "tests/extract/fixture.h"
#include "tests/support/message.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::damaged_png;
using vitrine::testing::ExtractFixture;
using vitrine::testing::has;
using vitrine::testing::read_whole;
using vitrine::testing::write_whole;

namespace {

// Logits in fp32, so that equal views have equal bits.
const std::vector<std::string> kPlain{"taps.logits_encoding=fp32", "passes=1"};
std::vector<std::string> with(std::vector<std::string> settings) {
  settings.insert(settings.begin(), kPlain.begin(), kPlain.end());
  return settings;
}

std::vector<float> logits_of(const Cache& cache, GroupKey key) {
  const TrackReader reader(cache, cache.track("logits"));
  TrackReader::Scratch scratch;
  std::vector<float> out(8 * 3);
  reader.read(key, scratch, out);
  return out;
}

// Whether the view needs an image, as its own or as its partner's.
bool needs(const std::vector<Recipe>& recipes, std::size_t view, std::uint32_t image) {
  const Recipe& recipe = recipes[view];
  return recipe.image == image || (recipe.mix != Mix::kNone && recipes[recipe.partner].image == image);
}

std::uint32_t number_of(const Cache& cache, const std::string& id) {
  const auto found = std::ranges::find(cache.index().images, id, &ImageEntry::id);
  REQUIRE(found != cache.index().images.end());
  return static_cast<std::uint32_t>(found - cache.index().images.begin());
}

CommandResult verify(const ExtractFixture& fixture, const std::string& more = "") {
  return vitrine::testing::run("( " + vitrine::testing::executable("vitrine-cache") + " verify '" +
                               (fixture.root / "cache").string() + "'" + more + " )");
}

// Checks that every view that needs the image is marked and blank, and all others equal the undisturbed cache's.
void check_pass(const Cache& cache, const Cache& whole, std::uint32_t pass, std::uint32_t image) {
  std::size_t left_out = 0;
  for (std::uint32_t group = 0; group < 2; ++group) {
    const GroupKey key{pass, group};
    const std::vector<Recipe> recipes = cache.recipes(key);
    const std::vector<float> values = logits_of(cache, key), sound = logits_of(whole, key);
    for (std::size_t view = 0; view < recipes.size(); ++view) {
      CAPTURE(pass);
      CAPTURE(group);
      CAPTURE(view);
      CHECK(is_left_out(recipes[view]) == needs(recipes, view, image));
      left_out += is_left_out(recipes[view]) ? 1 : 0;
      for (std::size_t c = 3 * view; c < 3 * view + 3; ++c)
        CHECK(values[c] == (is_left_out(recipes[view]) ? 0 : sound[c]));
    }
  }
  CHECK(left_out > 0);
  CHECK(left_out < 16);
}

}  // namespace

TEST_CASE("a picture that fails after the index was made costs its views, but neither the run nor earlier shards") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("whole", with({"passes=2"})).exit_code == 0);
  REQUIRE(fixture.extract("cache", kPlain).exit_code == 0);
  const auto before = fixture.files("cache");
  const std::filesystem::path file = fixture.images / "bee" / "2.jpg";
  const std::string sound = read_whole(file);
  std::string reason;  // in left_out.tsv
  SUBCASE("it is cut short") {
    write_whole(file, sound.substr(0, sound.size() / 2));
    reason = "failed later\tbee/2.jpg\tis a JPEG file that is damaged or cut short (";
  }
  SUBCASE("it is gone") {
    std::filesystem::remove(file);
    reason = "missing\tbee/2.jpg\tis in the index";
  }
  SUBCASE("it is another picture") {
    write_whole(file, read_whole(fixture.images / "ant" / "0.jpg"));
    reason = "changed\tbee/2.jpg\thas changed";
  }
  const CommandResult stopped = fixture.errors_of("cache", with({"passes=2"}));
  CHECK(stopped.exit_code == 2);
  CHECK(has(stopped.output, "bad_images = \"skip\""));
  CHECK((fixture.files("cache") == before));

  const CommandResult skipped = fixture.extract("cache", with({"passes=2", "bad_images=skip"}));
  CAPTURE(skipped.output);
  REQUIRE(skipped.exit_code == 0);
  CHECK(has(skipped.output, "views were left out"));
  CHECK(has(skipped.output, "skipped: bee/2.jpg"));
  CHECK(has(skipped.output, "1 image of the index is gone, changed or cannot be read; views that need it"));
  const auto after = fixture.files("cache");
  for (const auto& [name, bytes] : before)
    if (name.ends_with(".h5") || name == "plan.json") CHECK((after.at(name) == bytes));
  CHECK(has(after.at(kLeftOutFile), reason));

  const Cache cache(fixture.root / "cache"), whole(fixture.root / "whole");
  CHECK(cache.plan().hash() == whole.plan().hash());
  check_pass(cache, whole, 1, number_of(cache, "bee/2.jpg"));
  const CommandResult verified = verify(fixture);
  CHECK(verified.exit_code == 0);
  CHECK(has(verified.output, "views left out"));
  // With the images too, and with the teacher: a loss that is recorded is not damage.
  const std::string with_images = " --images '" + fixture.images.string() + "'";
  const CommandResult again = verify(fixture, with_images);
  CAPTURE(again.output);
  CHECK(again.exit_code == 0);
  const auto counts = nlohmann::json::parse(verify(fixture, with_images + " --json 2> /dev/null").output);
  CHECK(counts["pictures"].get<int>() + counts["pictures_lost"].get<int>() == 4);
  const CommandResult deep = verify(fixture, with_images + " --deep 32 --weights '" + fixture.weights.string() + "'");
  CAPTURE(deep.output);
  CHECK(deep.exit_code == 0);
  const CommandResult sheet = vitrine::testing::run(
      vitrine::testing::executable("vitrine-cache") + " show '" + (fixture.root / "cache").string() + "'" +
      with_images + " --count 16 --out '" + (fixture.root / "sheet.png").string() + "'");
  CAPTURE(sheet.output);
  CHECK(sheet.exit_code == 0);
  // A resumed run has nothing to do.
  CHECK(fixture.extract("cache", with({"passes=2", "bad_images=skip"})).exit_code == 0);
  CHECK((fixture.files("cache") == after));
}

TEST_CASE("views that fail later are marked before new targets are published, and old targets stay") {
  const ExtractFixture fixture;
  const std::vector<std::string> small{"taps.attention=[]", "passes=1"}, more{"passes=1", "bad_images=skip"};
  REQUIRE(fixture.extract("cache", small).exit_code == 0);
  const auto before = fixture.files("cache");
  std::filesystem::remove(fixture.images / "cat" / "1.jpg");
  REQUIRE(fixture.extract("cache", more).exit_code == 0);
  const auto after = fixture.files("cache");
  for (const auto& [name, bytes] : before)
    if (name.ends_with(".h5") && !name.starts_with("recipes/")) CHECK((after.at(name) == bytes));
  const Cache cache(fixture.root / "cache");
  const std::uint32_t image = number_of(cache, "cat/1.jpg");
  for (const std::uint32_t group : {0u, 1u}) {
    const std::vector<Recipe> recipes = cache.recipes({0, group});
    for (std::size_t view = 0; view < recipes.size(); ++view)
      CHECK(is_left_out(recipes[view]) == needs(recipes, view, image));
  }
  CHECK(verify(fixture).exit_code == 0);
}

TEST_CASE("after pictures have failed, adding targets is refused when the recipes of existing targets are missing") {
  const ExtractFixture fixture;
  const std::vector<std::string> small{"taps.attention=[]", "passes=1"};
  REQUIRE(fixture.extract("cache", small).exit_code == 0);
  const std::filesystem::path recipes = fixture.root / "cache/recipes/00000.h5";
  const std::string bytes = read_whole(recipes);
  std::filesystem::remove(fixture.images / "cat" / "1.jpg");
  REQUIRE(fixture.extract("cache", {"taps.attention=[]", "passes=2", "bad_images=skip"}).exit_code == 0);
  // Old targets may be blank where lost recipes marked them; new recipes could not know.
  std::filesystem::remove(recipes);
  const auto before = fixture.files("cache");
  const CommandResult refused = fixture.errors_of("cache", {"passes=1", "bad_images=skip"});
  CAPTURE(refused.output);
  CHECK(refused.exit_code == 2);
  CHECK(has(refused.output, recipes.string() + ": is missing, but targets of its views exist"));
  CHECK_FALSE(std::filesystem::exists(recipes));
  const auto after = fixture.files("cache");
  for (const auto& [name, contents] : before)
    if (name.ends_with(".h5")) CHECK((after.at(name) == contents));
  // With the copy that the message asks for, it continues.
  write_whole(recipes, bytes);
  CHECK(fixture.extract("cache", {"passes=1", "bad_images=skip"}).exit_code == 0);
  CHECK(verify(fixture).exit_code == 0);
}

TEST_CASE("lost recipes are not made again without their marks, neither alone nor for another teacher") {
  const ExtractFixture fixture;
  const std::filesystem::path picture = fixture.images / "cat" / "1.jpg", other = fixture.root / "other.safetensors",
                              recipes = fixture.root / "cache/recipes/00000.h5";
  const std::vector<std::string> skip{"passes=1", "bad_images=skip"};
  REQUIRE(fixture.prepare("cache", skip).exit_code == 0);
  const std::string jpeg = read_whole(picture);
  std::filesystem::remove(picture);
  REQUIRE(fixture.extract("cache", skip).exit_code == 0);
  write_whole(picture, jpeg);
  std::filesystem::remove(recipes);
  fixture.save_teacher(other, 3, 6);
  for (const std::string& command : {fixture.command("cache", skip) + " --recipes",
                                     fixture.command("cache", {"passes=1", "bad_images=skip", "teacher.name=other",
                                                               "teacher.weights=" + other.string()})}) {
    const CommandResult refused = vitrine::testing::run(command);
    CAPTURE(refused.output);
    CHECK(refused.exit_code == 2);
    CHECK(has(refused.output, recipes.string() + ": is missing, but targets of its views exist"));
    CHECK_FALSE(std::filesystem::exists(recipes));
  }
}

TEST_CASE("a folder that lost most of its pictures is refused") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache", kPlain).exit_code == 0);
  for (const char* name : {"ant", "bee"})
    for (int i = 1; i < 5; ++i) std::filesystem::remove(fixture.images / name / (std::to_string(i) + ".jpg"));
  const auto before = fixture.files("cache");
  const CommandResult refused = fixture.errors_of("cache", with({"passes=2", "bad_images=skip"}));
  CHECK(refused.exit_code == 3);
  CHECK(has(refused.output, "8 of 15 images cannot be read"));
  CHECK(has(refused.output, "max_bad_share"));
  CHECK((fixture.files("cache") == before));
}

TEST_CASE("damage inside a picture is found when the index is made, listed in left_out.tsv, and checked only once") {
  const ExtractFixture fixture;
  const std::filesystem::path file = fixture.images / "bee" / "2.jpg";
  const std::string sound = read_whole(file);
  write_whole(file, damaged_png());
  std::filesystem::create_symlink(fixture.root / "nowhere.jpg", fixture.images / "ant" / "link.jpg");
  const CommandResult made = fixture.extract("cache", kPlain);
  CAPTURE(made.output);
  REQUIRE(made.exit_code == 0);
  CHECK(has(made.output, "14 images in 3 classes"));
  CHECK(has(made.output, "left out: 1 damaged, 1 dangling link"));
  const auto files = fixture.files("cache");
  CHECK(has(files.at(kLeftOutFile), "damaged\tbee/2.jpg\tis a PNG file that is damaged or cut short ("));
  CHECK(!has(files.at(kLeftOutFile), "leave it out"));
  CHECK(has(files.at(kLeftOutFile), "dangling link\tant/link.jpg\t"));
  const Cache cache(fixture.root / "cache");
  const auto record = read_index_record(fixture.root / "cache", cache.index().hash());
  REQUIRE(record);
  CHECK(record->depth == IndexDepth::kDecode);
  CHECK(has(made.output, "decode"));
  CHECK(!has(fixture.extract("cache", kPlain).output, "decode: "));

  // A restored picture is still not in the index, and the cache continues without it.
  write_whole(file, sound);
  const CommandResult more = fixture.extract("cache", with({"passes=2"}));
  CAPTURE(more.output);
  CHECK(more.exit_code == 0);
  const std::string restored =
      "not in index\tbee/2.jpg\tcan be read now, but was left out when the index was made: is a ";
  CHECK(has(read_whole(fixture.root / "cache" / kLeftOutFile), restored));
  CHECK(fixture.extract("cache", with({"passes=3"})).exit_code == 0);
  CHECK(has(read_whole(fixture.root / "cache" / kLeftOutFile), restored));  // not once more in itself
}

TEST_CASE("a picture that was left out, then gone, then restored is still left out") {
  const ExtractFixture fixture;
  const std::filesystem::path file = fixture.images / "bee" / "2.jpg", list = fixture.root / "cache" / kLeftOutFile;
  const std::string sound = read_whole(file);
  write_whole(file, damaged_png());
  REQUIRE(fixture.extract("cache", kPlain).exit_code == 0);
  const std::string before = read_whole(list);
  CHECK(has(before, "damaged\tbee/2.jpg\t"));
  std::filesystem::remove(file);
  REQUIRE(fixture.extract("cache", with({"passes=2"})).exit_code == 0);
  CHECK(read_whole(list) == before);
  write_whole(file, sound);
  const CommandResult more = fixture.extract("cache", with({"passes=3"}));
  CAPTURE(more.output);
  CHECK(more.exit_code == 0);
  const std::string restored = read_whole(list);
  CHECK(has(restored, "not in index\tbee/2.jpg\tcan be read now"));
  CHECK(!has(restored, "damaged\tbee/2.jpg"));
  // Gone and back once more.
  std::filesystem::remove(file);
  REQUIRE(fixture.extract("cache", with({"passes=4"})).exit_code == 0);
  write_whole(file, sound);
  CHECK(fixture.extract("cache", with({"passes=5"})).exit_code == 0);
  CHECK(read_whole(list) == restored);
}

TEST_CASE("an index made by headers can be deepened, and damage found then is skipped if allowed") {
  const ExtractFixture fixture;
  write_whole(fixture.images / "bee" / "2.jpg", damaged_png());
  // Otherwise the teacher's check and calibration would meet it before there is a cache.
  const std::vector<std::string> bare = with({"check_images=0", "taps.features=[]"});
  const auto and_also = [&](const std::string& setting) {
    std::vector<std::string> settings = bare;
    settings.push_back(setting);
    return settings;
  };
  const CommandResult stopped = fixture.errors_of("cache", and_also("index_depth=headers"));
  CHECK(stopped.exit_code == exit_code(ErrorKind::kCorrupt));
  const auto before = fixture.files("cache");
  const Cache begun(fixture.root / "cache");
  CHECK(read_index_record(fixture.root / "cache", begun.index().hash())->depth == IndexDepth::kHeaders);
  CHECK(fixture.errors_of("cache", bare).exit_code == 2);  // 14 images are not the index's 15
  const CommandResult made = fixture.extract("cache", and_also("bad_images=skip"));
  CAPTURE(made.output);
  REQUIRE(made.exit_code == 0);
  const auto after = fixture.files("cache");
  for (const auto& [name, bytes] : before)
    if (name.ends_with(".h5") || name == "plan.json") CHECK((after.at(name) == bytes));
  CHECK(read_index_record(fixture.root / "cache", begun.index().hash())->depth == IndexDepth::kDecode);
  CHECK(has(after.at(kLeftOutFile), "failed later\tbee/2.jpg\t"));
  CHECK(verify(fixture).exit_code == 0);
}

TEST_CASE("recipes that a killed run replaced but did not list are listed by the next run") {
  const ExtractFixture fixture;
  const std::vector<std::string> small = with({"taps.attention=[]", "taps.features=[]", "check_images=0"});
  REQUIRE(fixture.extract("cache", small).exit_code == 0);
  const std::filesystem::path recipes = fixture.root / "cache/recipes", list = recipes / kManifestName;
  const std::string listed = read_whole(list);
  std::filesystem::remove(fixture.images / "cat" / "1.jpg");
  std::vector<std::string> more = with({"taps.features=[]", "check_images=0", "bad_images=skip"});
  REQUIRE(fixture.extract("cache", more).exit_code == 0);
  REQUIRE(read_whole(list) != listed);
  // Simulates a death after replacing the recipes: they are not listed, and later targets do not exist.
  write_whole(list, listed);
  const Cache cache(fixture.root / "cache");
  std::filesystem::remove_all(fixture.root / "cache" / cache.track("attention.1").directory());
  CHECK(!compare_manifest(*Manifest::read(recipes), recipes, true).none());
  REQUIRE(fixture.extract("cache", more).exit_code == 0);
  CHECK(compare_manifest(*Manifest::read(recipes), recipes, true).none());
  CHECK(verify(fixture).exit_code == 0);
}

TEST_CASE("left_out.tsv is mentioned once it exists") {
  const ExtractFixture fixture;
  write_whole(fixture.images / "bee" / "notes.txt", "not a picture");
  const std::string named = std::string(kLeftOutFile) + " names all";
  const CommandResult refused = fixture.errors_of("cache", with({"class_map=/nowhere"}));
  CAPTURE(refused.output);
  CHECK(has(refused.output, "left out: 1 sidecar"));
  CHECK(!has(refused.output, named));
  CHECK(!std::filesystem::exists(fixture.root / "cache" / kLeftOutFile));
  const CommandResult made = fixture.extract("cache", kPlain);
  CAPTURE(made.output);
  CHECK(has(made.output, named));
}

TEST_CASE("a cache is continued only with its own decoding settings") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache", with({"exif_orientation=apply"})).exit_code == 0);
  const auto before = fixture.files("cache");
  const CommandResult refused = fixture.errors_of("cache", with({"passes=2"}));
  CHECK(refused.exit_code == 2);
  CHECK(has(refused.output,
            "index.h5: was made with exif_orientation = \"apply\", grey16 = \"clip\", this run has "
            "exif_orientation = \"ignore\""));
  CHECK((fixture.files("cache") == before));
  CHECK(fixture.extract("cache", with({"exif_orientation=apply", "passes=2"})).exit_code == 0);
  CHECK(Cache(fixture.root / "cache").index().decoding.apply_orientation);
  CHECK(verify(fixture).exit_code == 0);
}
