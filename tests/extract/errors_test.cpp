#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/cache/writer.h"
#include "common/config/config.h"
#include "extract/options.h"
#include "tests/extract/fixture.h"
#include "tests/support/instances.h"
#include "tests/support/message.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::ExtractFixture;
using vitrine::testing::has;
using vitrine::testing::read_whole;
using vitrine::testing::write_whole;

namespace {

struct Case {
  const char* what;
  std::vector<std::string> settings;
  std::vector<std::string> words;  // parts of the message: the file or key, and the remedy
  ErrorKind kind = ErrorKind::kInput;
};

// Checks that the last line is the error and the only one that begins with the program's name.
void check_refused(const CommandResult& result, const std::vector<std::string>& words,
                   ErrorKind kind = ErrorKind::kInput) {
  CAPTURE(result.output);
  CHECK(result.exit_code == exit_code(kind));
  REQUIRE(result.output.ends_with('\n'));
  const std::string text_of = result.output.substr(0, result.output.size() - 1);
  const std::size_t newline = text_of.rfind('\n');
  const std::string line = newline == std::string::npos ? text_of : text_of.substr(newline + 1);
  CHECK(line.starts_with("vitrine-extract: "));
  CHECK(text_of.find("vitrine-extract: ") == text_of.rfind("vitrine-extract: "));
  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(has(line, word));
  }
}

/// Folders "0" to "11" of pictures of one colour each, and a teacher that recognises them all: its class c is the
/// folder order[c].
void make_colours(const std::filesystem::path& images, const std::filesystem::path& weights,
                  const std::vector<std::string>& order) {
  const at::NoGradGuard no_grad;
  at::manual_seed(5);
  VitOptions options;
  options.arch = "";
  options.image_size = 32, options.patch = 8, options.dim = 16, options.depth = 2, options.heads = 2;
  options.classes = 16;
  Vit vit(options);
  Tensors state = state_dict(*vit);  // shares memory with the model
  state.at("head.weight").copy_(at::eye(16));
  state.at("head.bias").zero_();
  std::vector<at::Tensor> features;  // of each class
  for (const std::string& name : order) {
    const int number = std::stoi(name);
    const std::array<int, 3> colour{30 + 90 * (number % 3), 30 + 90 * (number / 3 % 2), 30 + 190 * (number / 6)};
    Image image(40, 40);
    for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(colour[i % 3]);
    at::Tensor x = at::empty({1, 3, 32, 32});
    for (int c = 0; c < 3; ++c) x.select(1, c).fill_((colour[static_cast<std::size_t>(c)] / 255.0 - 0.5) / 0.5);
    for (int i = 0; i < 5; ++i)
      write_whole(images / name / (std::to_string(i) + ".png"), vitrine::testing::as_text(encode_png(image)));
    features.push_back(vit->forward(x).logits[0].clone());
  }
  // The nearest of these: the greatest 2 p.f - p.p.
  const at::Tensor nearest = at::stack(features);
  state.at("head.weight") = 200 * nearest;
  state.at("head.bias") = -100 * nearest.square().sum(1);
  save_safetensors(weights, state);
}

}  // namespace

TEST_CASE("invalid settings and inputs are refused in one sentence before anything is written") {
  const ExtractFixture fixture;
  const std::filesystem::path root = fixture.root.path();
  std::filesystem::create_directories(root / "empty");
  std::filesystem::create_directories(root / "one_class" / "ant");
  std::filesystem::copy(fixture.images / "ant", root / "one_class" / "ant");
  std::filesystem::create_directories(root / "no_images" / "ant");
  std::filesystem::create_directories(root / "no_images" / "bee");
  std::filesystem::copy(fixture.images, root / "two_classes", std::filesystem::copy_options::recursive);
  std::filesystem::remove_all(root / "two_classes" / "cat");
  std::filesystem::copy(root / "two_classes", root / "cat_is_empty", std::filesystem::copy_options::recursive);
  std::filesystem::create_directories(root / "cat_is_empty" / "cat");
  const std::string whole = read_whole(fixture.weights);
  write_whole(root / "short.safetensors", std::string_view(whole).substr(0, whole.size() / 2));
  write_whole(root / "text.safetensors", "these are no weights");
  ExtractFixture::save_teacher(root / "seven.safetensors", 7);

  const std::vector<Case> cases{
      {"missing folder", {"images=" + (root / "nowhere").string()}, {"nowhere", "one folder of images for each class"}},
      {"empty folder", {"images=" + (root / "empty").string()}, {"empty", "no class folder"}},
      {"one class", {"images=" + (root / "one_class").string()}, {"one_class", "at least two"}},
      {"no images", {"images=" + (root / "no_images").string()}, {"no_images", "no readable image"}},
      {"a class without images",
       {"images=" + (root / "cat_is_empty").string()},
       {"cat_is_empty: 1 class folder holds no readable image: cat", "add --allow empty"}},
      {"no folder given", {"images="}, {"images is not given"}},
      {"fewer classes than the head",
       {"images=" + (root / "two_classes").string()},
       {"two_classes", "2 classes", "head has 3", "class_map"}},
      {"missing weights", {"teacher.weights=" + (root / "none.safetensors").string()}, {"none.safetensors"}},
      {"no weights given", {"teacher.weights="}, {"teacher.weights is not given"}},
      {"truncated weights",
       {"teacher.weights=" + (root / "short.safetensors").string()},
       {"short.safetensors", "cut short", "fetch it again"},
       ErrorKind::kCorrupt},
      {"no weights at all",
       {"teacher.weights=" + (root / "text.safetensors").string()},
       {"text.safetensors", "is a text file, not a weight file (\"these are no weights\")"}},
      {"weights of another head",
       {"teacher.weights=" + (root / "seven.safetensors").string()},
       {"3 classes", "head has 7", "class_map"}},
      {"weights of another architecture",
       {"teacher.arch=vit_tiny_patch16_224"},
       {"teacher.safetensors", "vit_tiny_patch16_224"}},
      {"unknown key", {"teacher.precison=fp32"}, {"teacher.precison", "teacher.precision"}},
      {"mistyped", {"passes=\"many\""}, {"passes", "many", "an integer"}},
      {"out of range", {"passes=0"}, {"passes = 0", "from 1"}},
      {"not a word of the list", {"teacher.precision=fp8"}, {"teacher.precision", "fp8", "bf16"}},
      {"unknown encoding", {"taps.logits_encoding=fp12"}, {"taps.logits_encoding", "fp12"}},
      {"encoding for probabilities", {"taps.features_encoding=sqrt8"}, {"taps.features_encoding", "sqrt8"}},
      {"no such level", {"taps.features_level=20"}, {"taps.features_level", "19"}},
      {"no such window", {"taps.attention_window=9"}, {"taps.attention_window = 9", "10 to 27"}},
      {"no such block", {"taps.features=[2]"}, {"taps.features", "block 2", "0 to 1"}},
      {"block named twice", {"taps.features=[1, -1]"}, {"taps.features", "twice"}},
      {"nothing to keep", {"taps.logits=false", "taps.features=[]", "taps.attention=[]"}, {"taps select no targets"}},
      {"micro-batch beside the group", {"teacher.micro_batch=3"}, {"teacher.micro_batch = 3", "plan.group = 8"}},
      {"another grid", {"plan.image_size=40"}, {"plan.image_size = 40", "32"}},
      {"odd group", {"plan.group=7"}, {"group = 7", "even"}},
      {"two colours", {"teacher.mean=[0.5, 0.5]"}, {"teacher.mean", "three"}},
      {"no such part", {"part=3/2"}, {"part", "3/2", "i/n"}},
      {"no launcher", {"part=auto"}, {"part", "auto", "RANK", "SLURM_PROCID"}},
      {"no such verification", {"verify_images=some"}, {"verify_images", "some", "sample"}},
      {"a name that is a path", {"teacher.name=../x"}, {"../x", "cannot name a teacher"}},
      {"teacher at chance", {"allow_chance=false"}, {"at chance", "class order", "add --allow chance"}},
  };
  for (const Case& bad : cases) {
    CAPTURE(bad.what);
    check_refused(fixture.errors_of("cache", bad.settings), bad.words, bad.kind);
    CHECK(!std::filesystem::exists(root / "cache"));
  }
  // The cache's directory would be a class of the next scan.
  const std::string images = fixture.images.string();
  std::filesystem::create_directory_symlink(images, root / "link");
  for (const std::string& cache :
       {images, images + "/cache", images + "/ant/deep/cache", (root / "link/cache").string()}) {
    CAPTURE(cache);
    check_refused(fixture.errors_of("cache", {"cache=" + cache}),
                  {cache + ": cache is in images = " + images, "would count as a class; choose another cache"});
    CHECK(std::distance(std::filesystem::directory_iterator(images), {}) == 3);
  }
  check_refused(fixture.errors_of("cache", {"unlabelled=" + root.string()}), {"cache is in unlabelled = "});

  const auto allowing = [&](const std::string& words) {
    return vitrine::testing::run(fixture.command("cache", {"allow_chance=false"}) + " --dry-run --allow " + words);
  };
  check_refused(allowing("mixed,anything"),
                {"\"anything\" is not known; expected one of chance, empty, mixed, module"});
  check_refused(allowing("mixed"), {"at chance"});
  const CommandResult chance = allowing("mixed,chance");
  CAPTURE(chance.output);
  CHECK(chance.exit_code == 0);
  CHECK(has(chance.output, "continuing, since that is allowed"));
  const CommandResult empty = vitrine::testing::run(
      fixture.command("cache", {"images=" + (root / "cat_is_empty").string()}) + " --dry-run --allow empty");
  CAPTURE(empty.output);
  CHECK(empty.exit_code == 0);
  CHECK(has(empty.output, "left out: cat/: holds no readable image"));
  CHECK(has(chance.output, "allow_chance = true"));

  CHECK_FALSE(std::filesystem::exists(root / "missing.toml"));
  check_refused(vitrine::testing::run(vitrine::testing::executable("vitrine-extract") + " '" +
                                      (root / "missing.toml").string() + "'"),
                {"missing.toml"});
  check_refused(vitrine::testing::run(vitrine::testing::executable("vitrine-extract")), {"CONFIG", "--help"});
}

TEST_CASE("a head in the natural order of folders 0 to 11 is refused, naming the order and the key that fixes it") {
  const ExtractFixture fixture;
  const std::filesystem::path images = fixture.root / "numbers", head = fixture.root / "natural.safetensors";
  std::vector<std::string> natural, by_bytes;
  for (int i = 0; i < 12; ++i) natural.push_back(std::to_string(i));
  by_bytes = natural;
  std::ranges::sort(by_bytes);
  make_colours(images, head, natural);
  const std::vector<std::string> settings{
      "images=" + images.string(),   "allow_chance=false", "check_images=60", "teacher.mean=[0.5, 0.5, 0.5]",
      "teacher.std=[0.5, 0.5, 0.5]", "passes=1",           "taps.features=[]"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), settings.begin(), settings.end());
    return more;
  };
  check_refused(fixture.errors_of("cache", with({"teacher.weights=" + head.string()})),
                {"top-1 is 16.7 % in the order of the class folders", "100.0 % in natural order without case",
                 "set class_names to a file", "sort -fV > names.txt"});
  CHECK_FALSE(std::filesystem::exists(fixture.root / "cache"));

  const std::filesystem::path names = fixture.root / "names.txt";
  REQUIRE(vitrine::testing::run("ls '" + images.string() + "' | sort -fV > '" + names.string() + "'").exit_code == 0);
  const CommandResult mended =
      fixture.extract("cache", with({"teacher.weights=" + head.string(), "class_names=" + names.string()}));
  CAPTURE(mended.output);
  CHECK(mended.exit_code == 0);
  CHECK(has(mended.output, "top-1 100.0 %"));

  const std::filesystem::path sorted = fixture.root / "sorted.safetensors";
  make_colours(images, sorted, by_bytes);
  CHECK(fixture.extract("sorted", with({"teacher.weights=" + sorted.string()})).exit_code == 0);
}

TEST_CASE(
    "a teacher that knows its class names is matched with the class folders by name, and the cache records them") {
  const ExtractFixture fixture;
  const std::filesystem::path images = fixture.root / "numbers", folder = fixture.root / "named";
  const std::vector<std::string> order{"9", "2", "11", "0"};  // the folders are 0, 11, 2, 9
  std::filesystem::create_directories(folder);
  make_colours(images, folder / "model.safetensors", order);
  const auto name = [&](const std::string& names) {
    write_whole(folder / "config.json", R"({"num_classes": 4, "pretrained_cfg": {"label_names": )" + names + "}}");
  };
  const std::vector<std::string> settings{
      "images=" + images.string(),   "allow_chance=false", "check_images=20",  "teacher.mean=[0.5, 0.5, 0.5]",
      "teacher.std=[0.5, 0.5, 0.5]", "passes=1",           "taps.features=[]", "teacher.weights=" + folder.string()};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), settings.begin(), settings.end());
    return more;
  };
  name(R"(["9", "2", "11", "0"])");
  check_refused(fixture.errors_of("cache", with({"taps.logits_encoding=topk", "taps.topk=2"})),
                {"keeps the largest logits only", "taps.logits_encoding = \"uniform\""});
  const std::filesystem::path names = fixture.root / "names.txt";
  write_whole(names, "9\n2\n11\n0\n");
  check_refused(
      fixture.errors_of("cache", with({"taps.logits_encoding=topk", "taps.topk=2", "class_names=" + names.string()})),
      {"keeps the largest logits only", "taps.logits_encoding = \"uniform\""});
  const CommandResult made = fixture.extract("cache", settings);
  CAPTURE(made.output);
  REQUIRE(made.exit_code == 0);
  CHECK(has(made.output, "the class folders are matched by name with the teacher's 4 classes"));
  CHECK(has(made.output, "top-1 100.0 %"));
  const vitrine::testing::Files files = fixture.files("cache");
  const auto recorded =
      std::ranges::find_if(files, [](const auto& file) { return file.first.ends_with("/classes.json"); });
  REQUIRE(recorded != files.end());
  CHECK(nlohmann::json::parse(recorded->second).at("names") == order);

  // Its names are part of the logits: others are refused, the loss of the file too, and the same command restores it.
  const auto others = [&](const std::string& renamed) {
    name(renamed);
    return fixture.errors_of("cache", settings);
  };
  check_refused(others(R"(["2", "9", "11", "0"])"),
                {"classes.json: names class 0 9, which is now 2", "the same names"});
  check_refused(others(R"(["0", "11", "2", "9"])"), {"classes.json: names class 0 9, which is now 0"});  // the folders'
  CHECK((fixture.files("cache") == files));
  const std::filesystem::path lost = fixture.root / "cache" / recorded->first;
  std::filesystem::remove(lost);
  check_refused(others(R"(["2", "9", "11", "0"])"), {"track.json: was made with other class names", "is missing"});
  const CommandResult read = vitrine::testing::run(vitrine::testing::executable("vitrine-cache") + " info '" +
                                                   lost.parent_path().parent_path().string() + "'");
  CHECK(read.exit_code == 1);
  CHECK(has(read.output, "classes.json: is missing, and without it the classes of"));
  name(R"(["9", "2", "11", "0"])");
  CHECK(fixture.extract("cache", settings).exit_code == 0);
  CHECK(read_whole(lost) == recorded->second);

  name(R"(["9", "2", "11", "wasp"])");
  check_refused(fixture.errors_of("other", settings), {"not among the teacher's 4 classes: 0", "class_names"});
  // Features alone do not care about classes.
  CHECK(fixture.extract("features", with({"taps.logits=false", "taps.features=[-1]"})).exit_code == 0);
  // Nor do they need a map, which a folder whose name two classes have does not give.
  const std::filesystem::path part = fixture.root / "part";
  std::filesystem::create_directories(part);
  for (const char* folder_name : {"9", "2"}) std::filesystem::copy(images / folder_name, part / folder_name);
  const auto check_unmapped = [&](const char* cache, const std::string& why) {
    const CommandResult unmapped =
        fixture.extract(cache, with({"images=" + part.string(), "taps.logits=false", "taps.features=[-1]"}));
    CAPTURE(unmapped.output);
    CHECK(unmapped.exit_code == 0);
    CHECK(has(unmapped.output, "not checked on clean crops: " + part.string()));
    CHECK(has(unmapped.output, why));
    check_refused(fixture.errors_of("other", with({"images=" + part.string()})), {why});
  };
  name(R"(["9", "9", "2", "0"])");
  check_unmapped("ambiguous", "of the teacher have the name 9");
  name(R"(["nine", "two", "eleven", "zero"])");
  check_refused(fixture.errors_of("other", settings), {"top-1"});
  const CommandResult foreign = fixture.extract("foreign", with({"allow_chance=true"}));
  CHECK(foreign.exit_code == 0);
  CHECK(has(foreign.output, "none of the teacher's class names (nine, ...) is a class folder's (0, ...)"));
  CHECK(std::ranges::none_of(fixture.files("foreign"),
                             [](const auto& file) { return file.first.ends_with("/classes.json"); }));
}

TEST_CASE("a cache is extended only with the plan, images and teacher that it was made with") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  const auto before = fixture.files("cache");

  check_refused(fixture.errors_of("cache", {"plan.seed=8"}), {"plan.json", "seed", "8", "another cache directory"});
  check_refused(fixture.errors_of("cache", {"plan.group=4"}), {"plan.json", "group"});
  check_refused(fixture.errors_of("cache", {"teacher.precision=bf16"}),
                {"track.json", "made_with.precision", "fp32", "bf16"});
  check_refused(fixture.errors_of("cache", {"teacher.micro_batch=8"}), {"track.json", "micro_batch 4, this run has 8"});
  check_refused(fixture.errors_of("cache", {"teacher.mean=[0.5, 0.5, 0.5]"}), {"track.json", "teacher.mean"});
  check_refused(fixture.errors_of("cache", {"taps.logits_encoding=fp32"}), {"track.json", "encoding"});
  const std::string picture = read_whole(fixture.images / "ant" / "3.jpg");
  std::string other = picture;
  other[other.size() / 2] = static_cast<char>(other[other.size() / 2] ^ 1);
  write_whole(fixture.images / "ant" / "3.jpg", other);
  for (const char* verify : {"verify_images=sample", "verify_images=all"})  // 15 images: all are in the sample
    check_refused(fixture.errors_of("cache", {verify}), {"index.h5", "ant/3.jpg", "other contents"});
  write_whole(fixture.images / "ant" / "3.jpg", picture);
  std::filesystem::rename(fixture.images / "bee", fixture.images / "wasp");
  check_refused(fixture.errors_of("cache"), {"index.h5", "bee"});
  std::filesystem::rename(fixture.images / "wasp", fixture.images / "bee");
  std::filesystem::remove(fixture.images / "cat" / "4.jpg");
  check_refused(fixture.errors_of("cache"), {"index.h5", "15", "14"});

  CHECK((fixture.files("cache") == before));
}

TEST_CASE("a track is added only if its pictures equal those of the other tracks") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  {  // as if made by another decoder
    const Cache cache(fixture.root / "cache");
    std::filesystem::remove(fixture.root / "cache" / "recipes" / "00001.h5");
    write_recipes(fixture.root / "cache", cache.plan(), 0, 1, {cache.picture_hash({0, 0}) + 1});
  }
  const auto before = fixture.files("cache");
  // Existing shards are not made again, and so not compared.
  CHECK(fixture.extract("cache").exit_code == 0);
  check_refused(fixture.errors_of("cache", {"taps.attention=[0, -1]"}),
                {"pass 0, group 1", "picture", "recipes", "libjpeg", "another cache"});
  const auto after = fixture.files("cache");
  for (const auto& [name, bytes] : before)
    if (name.ends_with(".h5")) CHECK((after.at(name) == bytes));
  for (const auto& [name, bytes] : after) CHECK(name.find("attention.0/00001.h5") == std::string::npos);
}

TEST_CASE("preprocessing is recorded with all digits, and a difference in the seventh is refused") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache", {"teacher.mean=[0.48145466, 0.4578275, 0.40821073]"}).exit_code == 0);
  CHECK(Cache(fixture.root / "cache").tracks().front().teacher.mean ==
        std::vector<double>{0.48145466, 0.4578275, 0.40821073});
  check_refused(fixture.errors_of("cache", {"teacher.mean=[0.48145467, 0.4578275, 0.40821073]", "passes=3"}),
                {"track.json", "mean", "0.48145466", "0.48145467"});
}

TEST_CASE("non-finite outputs stop the run and leave no shard") {
  const ExtractFixture fixture;
  Tensors weights = load_safetensors(fixture.weights);
  weights.at("blocks.1.mlp.fc2.bias")[3] = std::numeric_limits<float>::quiet_NaN();
  save_safetensors(fixture.weights, weights);
  check_refused(fixture.errors_of("checked"), {"logits of view 0", "not finite", "weights"});
  CHECK(!std::filesystem::exists(fixture.root / "checked"));
  // Without that check the run itself finds it and names the place; block 0 is before the damage.
  const std::vector<std::string> unseen{"check_images=0", "taps.logits=false", "taps.attention=[]"};
  const auto with = [&](const std::string& setting) {
    std::vector<std::string> settings = unseen;
    settings.push_back(setting);
    return settings;
  };
  check_refused(fixture.errors_of("cache", with("taps.features=[0, 1]")),
                {"pass 0, group", "features of block 1 of view", "not finite"});
  CHECK(fixture.shards("cache").empty());
  CHECK(fixture.extract("whole", with("taps.features=[0]")).exit_code == 0);
}

TEST_CASE("damage inside an image, found only by decoding, is reported with its place and leaves no partial shard") {
  const ExtractFixture fixture;
  Image image(40, 40);
  RandomStream draws(4, Purpose::kSample);
  for (auto& value : image.rgb) value = static_cast<std::uint8_t>(draws.bits());
  std::string png = vitrine::testing::as_text(encode_png(image));
  png[png.size() / 2] = static_cast<char>(png[png.size() / 2] ^ 1);  // its chunk's checksum is wrong
  write_whole(fixture.images / "bee" / "2.jpg", png);
  check_refused(fixture.errors_of("cache", {"check_images=0", "index_depth=headers"}),
                {"bee/2.jpg", "pass 0, group", "bad_images = \"skip\""}, ErrorKind::kCorrupt);
  CHECK(fixture.shards("cache").size() % 5 == 0);
  for (const auto& [name, content] : fixture.files("cache")) CHECK(name.find(".part.") == std::string::npos);
}

TEST_CASE("the extractor accepts the ImageNet configuration") {
  const std::filesystem::path file =
      std::filesystem::path(std::getenv("VITRINE_SOURCE")) / "configs/imagenet-extract.toml";
  ExtractOptions options;
  load_config(file, {}, options);
  check_plan_options(options.plan, "plan");
  CHECK(options.plan.image_size == 224);
  CHECK(options.plan.group % options.teacher.micro_batch == 0);
  // Its settings of views, and the defaults of the others, are DeiT's.
  CHECK((options.plan == PlanOptions{}));
}

TEST_CASE("a quoted key with a dot in the configuration is refused with its line") {
  const ExtractFixture fixture;
  write_whole(fixture.config, "\"teacher.name\" = 'quoted'\n" + fixture.text_of_config());
  check_refused(fixture.errors_of("cache"), {fixture.config.string() + ", line 1: ", "teacher.name without quotes"});
}

TEST_CASE("files that are not images are named and left out") {
  const ExtractFixture fixture;
  for (int i = 0; i < 12; ++i)
    write_whole(fixture.images / "ant" / ("note" + std::to_string(10 + i) + ".txt"), "not an image");
  const CommandResult result = fixture.extract("cache", {"taps.features=[]", "taps.attention=[]"});
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "15 images in 3 classes"));
  CHECK(has(result.output, "left out: ant/note10.txt"));
  CHECK(has(result.output, "left out: ant/note19.txt"));
  CHECK(result.output.find("note20") == std::string::npos);
  CHECK(has(result.output, "left out: 2 more"));
}

TEST_CASE("what an error gives as an instance of a key works for it") {
  vitrine::testing::check_instances<ExtractOptions>();
}

TEST_CASE("--help-keys lists every key, and the printed configuration reads back") {
  const ExtractFixture fixture;
  const CommandResult help = vitrine::testing::run(vitrine::testing::executable("vitrine-extract") + " --help-keys");
  CHECK(help.exit_code == 0);
  CHECK(vitrine::testing::run(vitrine::testing::executable("vitrine-extract") + " --help-keys zzzz").exit_code == 2);
  for (const char* key :
       {"check_images", "allow_chance", "teacher.micro_batch", "taps.features_encoding", "plan.cutmix_alpha"})
    CHECK(has(help.output, key));

  const std::vector<std::string> small{"taps.features=[]", "taps.attention=[]", "passes=1"};
  REQUIRE(fixture.errors_of("first", small).exit_code == 0);
  const std::string printed = read_whole(fixture.root / "stdout.txt");
  write_whole(fixture.config, printed.substr(0, printed.find((fixture.root / "first").string() + ": ")));
  REQUIRE(fixture.extract("second").exit_code == 0);
  CHECK((fixture.files("first") == fixture.files("second")));
}
