// vitrine distil, from photos to a report, through the front door.
#include <ATen/ATen.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/image/write.h"
#include "tests/extract/fixture.h"
#include "tests/support/message.h"
#include "common/models/weights/weights_record.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

namespace fs = std::filesystem;

struct Photos : ExtractFixture {
  fs::path out = root / "run";

  /// A teacher whose file knows its own structure, as those of vitrine-train do.
  void save(int classes, const std::vector<std::string>& names = {}) const {
    at::manual_seed(5);
    WeightsRecord record;
    record.model.kind = "vit";
    record.model.vit = vit(classes);
    record.size = 32;
    record.mean = record.stddev = {0.5, 0.5, 0.5};
    record.crop_pct = 0.9;
    record.class_count = static_cast<std::uint64_t>(classes);
    record.classes = names;
    save_safetensors(weights, state_dict(*Vit(vit(classes))), record.metadata());
  }
  std::string command(const std::string& more) const {
    return executable("vitrine") + " distil '" + images.string() + "' --teacher '" + weights.string() + "' --out '" +
           out.string() + "' --student resnet18 " + more;
  }
};

// A JPEG with an EXIF orientation: to be turned by 90 degrees.
std::string turned(const std::string& jpeg) {
  using namespace std::literals;
  const std::string exif = "Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"s;
  return jpeg.substr(0, 2) + "\xff\xe1"s + '\0' + static_cast<char>(exif.size() + 2) + exif + jpeg.substr(2);
}

constexpr const char* kShortDistillation = "--epochs 2 --passes 1 --size 32 --batch 8 ";

}  // namespace

TEST_CASE("distil: photos and a teacher of other classes become a student and a report") {
  const Photos photos;
  photos.save(5);
  const CommandResult result = run(photos.command(kShortDistillation));
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(has(result.output, "15 in 3 classes"));
  CHECK(has(result.output, "the teacher has 5 classes and the photos 3, and the names of the teacher's are not known"));
  for (const char* name : {"extract.toml", "train.toml", "baseline.toml", "report.html", "exported/best.safetensors",
                           "exported/last.safetensors", "summary.json"})
    CHECK_MESSAGE(fs::exists(photos.out / name), name);
  const auto summary = nlohmann::json::parse(read_whole(photos.out / "summary.json"));
  CHECK(summary.contains("validation_top1"));

  SUBCASE("the same command again finds everything done") {
    const std::string weights = read_whole(photos.out / "exported/last.safetensors");
    const CommandResult again = run(photos.command(kShortDistillation));
    CAPTURE(again.output);
    CHECK(again.exit_code == 0);
    CHECK(has(again.output, "was finished before"));
    CHECK(read_whole(photos.out / "exported/last.safetensors") == weights);
    const auto from_root = [&](const fs::path& path) {
      return "'" + fs::relative(path, photos.root.path()).string() + "' ";
    };
    const CommandResult relative =
        run("cd '" + photos.root.path().string() + "' && " + executable("vitrine") + " distil " +
            from_root(photos.images) + "--teacher " + from_root(photos.weights) + "--out " + from_root(photos.out) +
            "--student resnet18 --dry-run " + kShortDistillation);
    CAPTURE(relative.output);
    CHECK(relative.exit_code == 0);
  }
  SUBCASE("another request is refused, with the difference") {
    const CommandResult other = run(photos.command("--epochs 3 --passes 1 --size 32 --batch 8"));
    CHECK(other.exit_code == 2);
    CHECK(has(other.output, "was begun with another request: epochs is 2, but 3 in this command"));
  }
  SUBCASE("the photos that validate have no targets, and another share is refused") {
    const Cache cache(photos.out / "cache");
    CHECK(cache.index().images.size() == 12);  // of 15, one of each class is held out
    const std::string train = executable("vitrine-train") + " '" + (photos.out / "train.toml").string() +
                              "' --set max_steps=1 --set 'output=" + (photos.root / "other").string() + "'";
    const CommandResult refused = run(train + " --set hold_out=0.1");
    CHECK(refused.exit_code == 2);
    CHECK(refused.output.find("was made with hold_out = 0.2, this run has 0.1; set hold_out = 0.2") !=
          std::string::npos);
    const CommandResult shared = run(train + " --set 'validation=" + photos.images.string() + "'");
    CAPTURE(shared.output);
    CHECK(shared.exit_code == 0);
    CHECK(has(shared.output, "12 of the 15 validation images are training images too"));
  }
  SUBCASE("the written files train the same student elsewhere") {
    const CommandResult trained = run(executable("vitrine-train") + " '" + (photos.out / "train.toml").string() +
                                      "' --set 'output=" + (photos.root / "again").string() + "'");
    CAPTURE(trained.output);
    REQUIRE(trained.exit_code == 0);
    CHECK(load_safetensors(photos.root / "again/exported/last.safetensors")
              .at("fc.weight")
              .equal(load_safetensors(photos.out / "exported/last.safetensors").at("fc.weight")));
  }
}

TEST_CASE("distil: --log-format json and --quiet are those of every step") {
  const Photos photos;
  photos.save(5);
  const auto errors = [&](const std::string& option) {
    const CommandResult result = run("( " + photos.command(kShortDistillation + option) + " 3>&1 1>/dev/null 2>&3 )");
    CAPTURE(result.output);
    REQUIRE(result.exit_code == 0);
    std::vector<std::string> out;
    std::istringstream lines(result.output);
    for (std::string line; std::getline(lines, line);) out.push_back(line);
    return out;
  };
  std::set<std::string> loops;
  for (const std::string& line : errors("--log-format json")) {
    CAPTURE(line);
    const auto json = nlohmann::json::parse(line, nullptr, false);
    REQUIRE(json.is_object());
    if (json.at("type") == "progress") loops.insert(json.at("what").get<std::string>());
  }
  CHECK(loops.contains("train"));
  CHECK(std::ranges::any_of(loops, [](const std::string& what) { return what.starts_with("evaluate "); }));  // report
  for (const std::string& line : errors("--quiet")) CHECK_MESSAGE(line.starts_with("warning: "), line);
}

TEST_CASE("distil: without labels the student has the teacher's classes, and agreement validates it") {
  const Photos photos;
  photos.save(4);
  const CommandResult result = run(photos.command(std::string(kShortDistillation) + "--no-labels"));
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(load_safetensors(photos.out / "exported/last.safetensors").at("fc.weight").size(0) == 4);
  CHECK(nlohmann::json::parse(read_whole(photos.out / "summary.json")).contains("validation_agreement"));
}

TEST_CASE("distil: a teacher at chance is refused with a word that distil takes, and then accepted") {
  const Photos photos;
  photos.save(3);
  const CommandResult refused = run(photos.command(kShortDistillation));
  CAPTURE(refused.output);
  CHECK(refused.exit_code == 2);
  CHECK(has(refused.output, "add --allow chance"));
  CHECK_FALSE(fs::exists(photos.out));
  const CommandResult unknown = run(photos.command(std::string(kShortDistillation) + "--allow luck"));
  CHECK(unknown.exit_code == 2);
  CHECK(has(unknown.output, "\"luck\" is not known; expected one of chance, empty, mixed, module"));
  const CommandResult accepted = run(photos.command(std::string(kShortDistillation) + "--allow chance,mixed"));
  CAPTURE(accepted.output);
  CHECK(accepted.exit_code == 0);
  CHECK(fs::exists(photos.out / "report.html"));
}

TEST_CASE("distil: the classes of a teacher that has more of them than the photos are matched by name") {
  const Photos photos;
  photos.save(4);
  write_whole(photos.root / "config.json",
              R"({"num_classes": 4, "pretrained_cfg": {"label_names": ["cat", "wasp", "ant", "bee"]}})");
  const CommandResult result = run(photos.command(std::string(kShortDistillation) + "--allow chance"));
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK_FALSE(has(result.output, "logits are not used"));
  CHECK(read_whole(photos.out / "teacher_classes.txt") == "cat\nwasp\nant\nbee\n");
  for (const char* name : {"extract.toml", "train.toml"})
    CHECK(
        has(read_whole(photos.out / name), "class_names = \"" + (photos.out / "teacher_classes.txt").string() + "\""));
  CHECK(has(result.output, "3 of the teacher's 4 classes are 3 of the student's 3"));
  CHECK(load_safetensors(photos.out / "exported/last.safetensors").at("fc.weight").size(0) == 3);
}

TEST_CASE("distil: a teacher of which several classes have a folder's name teaches by features") {
  const Photos photos;
  photos.save(4);
  write_whole(photos.root / "config.json",
              R"({"num_classes": 4, "pretrained_cfg": {"label_names": ["cat", "ant", "ant", "bee"]}})");
  const CommandResult result = run(photos.command(kShortDistillation));
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(has(result.output,
            "several of the teacher's 4 classes have the name of the photos' folder ant: its logits are not used"));
  CHECK(has(read_whole(photos.out / "extract.toml"), "logits = false"));
  CHECK(load_safetensors(photos.out / "exported/last.safetensors").at("fc.weight").size(0) == 3);
}

TEST_CASE("distil: a teacher's own class names tell whether its logits teach, and its run names it") {
  const Photos photos;
  const fs::path exported = photos.root / "my_vit" / "exported";
  fs::create_directories(exported);
  const auto dry = [&](const std::vector<std::string>& classes) {
    photos.save(static_cast<int>(classes.size()), classes);
    fs::copy_file(photos.weights, exported / "last.safetensors", fs::copy_options::overwrite_existing);
    const CommandResult result =
        run(executable("vitrine") + " distil '" + photos.images.string() + "' --teacher '" +
            (photos.root / "my_vit").string() + "' --out '" + photos.out.string() + "' --student resnet18 --dry-run");
    CHECK_FALSE(has(result.output, "which the tensors do not show"));
    return result;
  };
  // At chance, as its weights are random; under these names it would be refused, were the classes the folders'.
  const CommandResult foreign = dry({"one", "two", "three"});
  CAPTURE(foreign.output);
  CHECK(foreign.exit_code == 0);
  CHECK(has(foreign.output, "my_vit"));
  std::istringstream help(run(executable("vitrine-distil") + " --help").output);
  std::string line;
  for (std::string word; help >> word;) line += word + " ";
  CHECK(has(line, "or a run of vitrine-train that trained one"));
  CHECK(has(foreign.output, "the teacher's classes have other names than the photos' folders"));
  const CommandResult strange = dry({"ant", "bee", "wasp"});
  CHECK(strange.exit_code == 0);
  CHECK(has(strange.output, "of the photos' folders some are not among them (cat): its logits are not used"));
  const CommandResult more = dry({"one", "two", "three", "four"});
  CHECK(has(more.output, "the teacher has 4 classes and the photos 3, under other names: its logits are not used"));
}

TEST_CASE("distil: a stop is passed on, and the same command resumes") {
  const Photos photos;
  photos.save(5);
  const std::string more = "--epochs 8 --passes 1 --size 32 --batch 8";  // 32 steps
  // Waits for the first checkpoint of training, not for a time.
  const CommandResult stopped =
      run("( " + photos.command(more) + " & child=$!; until [ -s '" + (photos.out / "metrics.jsonl").string() +
          "' ]; do kill -0 $child || exit 1; sleep 0.05; done; kill -TERM $child; wait $child )");
  CAPTURE(stopped.output);
  CHECK(stopped.exit_code == 130);
  CHECK(has(stopped.output, "to resume: "));
  CHECK(has(stopped.output, "stopped, in step 2 of 4"));
  const int step = nlohmann::json::parse(read_whole(photos.out / "checkpoints/last.json")).at("step").get<int>();
  CHECK(step > 0);
  CHECK(step < 32);
  const CommandResult resumed = run(photos.command(more));
  CAPTURE(resumed.output);
  CHECK(resumed.exit_code == 0);
  CHECK(has(resumed.output, "all 32 views exist already"));
  CHECK(has(resumed.output, text("resuming after step ", step, " of 32")));
  CHECK(fs::exists(photos.out / "report.html"));
}

TEST_CASE("distil: --dry-run prints everything and writes nothing") {
  const Photos photos;
  photos.save(5);
  const CommandResult result = run(photos.command("--dry-run --hours 5"));
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "in total"));
  CHECK(has(result.output, "5 h 00 min given"));
  CHECK_FALSE(has(result.output, "left out"));
  CHECK_FALSE(fs::exists(photos.out));
  // A sample of the cache is made where the cache will be, not with other temporary files.
  const CommandResult elsewhere = run(photos.command("--dry-run --cache /proc/none/cache"));
  CAPTURE(elsewhere.output);
  CHECK(elsewhere.exit_code != 0);
  CHECK(has(elsewhere.output, "/proc: cannot create a directory in it"));
}

TEST_CASE("distil: what is no photo is not counted") {
  const Photos photos;
  photos.save(5);
  write_whole(photos.images / "ant/notes.txt", "of the trip");
  write_whole(photos.images / "ant/.hidden.jpg", "x");
  write_whole(photos.images / "bee/film.mov", "moving");
  const CommandResult counted = run(photos.command("--dry-run"));
  CAPTURE(counted.output);
  CHECK(counted.exit_code == 0);
  CHECK(has(counted.output, "15 in 3 classes"));
  CHECK(has(counted.output, "1 not a picture, 1 sidecar, 1 hidden"));
}

TEST_CASE("distil: photos are held out of small classes too, of --unlabelled none, and where none can be it says so") {
  const Photos photos;
  photos.save(5);
  for (const char* name : {"ant", "bee", "cat"}) fs::remove(photos.images / name / "4.jpg");
  for (const char* name : {"ant", "bee", "cat"}) fs::remove(photos.images / name / "3.jpg");
  const fs::path more = photos.root / "more";
  for (int i = 0; i < 900; ++i)
    write_whole(more / (std::to_string(i) + ".jpg"), read_whole(photos.images / "ant/0.jpg"));
  const CommandResult small = run(photos.command("--dry-run --unlabelled '" + more.string() + "'"));
  CAPTURE(small.output);
  CHECK(small.exit_code == 0);
  CHECK(has(small.output, "3 held out for validation: 20.0 % of each class"));
  for (const char* name : {"ant", "bee", "cat"})
    for (const char* file : {"1.jpg", "2.jpg"}) fs::remove(photos.images / name / file);
  for (const char* name : {"dog", "eel", "fox", "gnu", "hen"})
    write_whole(photos.images / name / "0.jpg", read_whole(photos.images / "ant/0.jpg"));
  const CommandResult refused = run(photos.command("--dry-run"));
  CAPTURE(refused.output);
  CHECK(refused.exit_code == 2);
  CHECK(has(refused.output, "holds too few photos per folder to hold some out for validation; give --val"));
}

TEST_CASE("distil: a class without photos is refused with the word that goes on") {
  const Photos photos;
  photos.save(5);
  fs::create_directories(photos.images / "emu");
  const CommandResult refused = run(photos.command("--dry-run"));
  CHECK(refused.exit_code == 2);
  CHECK(has(refused.output, "1 class folder holds no readable image: emu; add images or remove the folders"));
  CHECK_FALSE(fs::exists(photos.out));
  const CommandResult accepted = run(photos.command(std::string(kShortDistillation) + "--allow empty"));
  CAPTURE(accepted.output);
  REQUIRE(accepted.exit_code == 0);
  CHECK(has(accepted.output, "warning: 1 class folder holds no readable image: emu; the student has outputs"));
  CHECK(load_safetensors(photos.out / "exported/last.safetensors").at("fc.weight").size(0) == 4);
}

TEST_CASE("distil: a teacher's folder names it, its file is told once, and paths are as good from any folder") {
  const Photos photos;
  photos.save(5);
  const fs::path folder = photos.root / "vit";
  fs::create_directories(folder);
  fs::copy(photos.weights, folder / "model.safetensors");
  const CommandResult result =
      run("cd '" + photos.root.path().string() + "' && " + executable("vitrine") +
          " distil images/ --teacher vit/ --out 'my run' --student resnet18 " + kShortDistillation);
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  const std::size_t first = result.output.find("took model.safetensors");
  REQUIRE(first != std::string::npos);
  CHECK(result.output.find("took model.safetensors", first + 1) == std::string::npos);
  CHECK(has(result.output, "vitrine-classify 'my run' PHOTO"));
  const fs::path out = photos.root / "my run";
  const std::string extract = read_whole(out / "extract.toml");
  CHECK(has(extract, "name = \"vit\"\n"));
  const auto names = [](const std::string& toml, const std::string& key, const fs::path& path) {
    return has(toml, "\n" + key + " = \"" + path.string() + "\"");
  };
  CHECK(names(extract, "images", photos.images));
  CHECK(names(extract, "weights", folder / "model.safetensors"));
  for (const char* name : {"extract.toml", "train.toml"}) CHECK(names(read_whole(out / name), "cache", out / "cache"));
  CHECK(names(read_whole(out / "train.toml"), "output", out));
  CHECK(names(read_whole(out / "baseline.toml"), "output", out / "baseline"));
}

TEST_CASE("distil: photos that are stored turned are told, and --exif-orientation goes to every step") {
  const Photos photos;
  photos.save(5);
  write_whole(photos.images / "bee/0.jpg", turned(read_whole(photos.images / "bee/0.jpg")));
  const CommandResult told = run(photos.command("--dry-run"));
  CAPTURE(told.output);
  CHECK(told.exit_code == 0);
  CHECK(has(told.output, "1 of 15 photos examined is stored turned"));
  CHECK(has(told.output, "--exif-orientation apply"));
  const CommandResult applied = run(photos.command(std::string(kShortDistillation) + "--exif-orientation apply"));
  CAPTURE(applied.output);
  REQUIRE(applied.exit_code == 0);
  CHECK_FALSE(has(applied.output, "stored turned"));
  CHECK(Cache(photos.out / "cache").index().decoding.apply_orientation);
  const CommandResult other = run(photos.command(kShortDistillation));
  CHECK(other.exit_code == 2);
  CHECK(has(other.output, "exif_orientation is \"apply\", but nothing in this command"));
}

TEST_CASE("distil: bad turns get one sentence and leave nothing behind") {
  const Photos photos;
  photos.save(5);
  const auto says = [&](const std::string& command, const std::string& words) {
    const CommandResult result = run(command);
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(has(result.output, words));
  };
  for (const char* name : {"wasp/0.jpg", "zebra/0.jpg"})
    write_whole(photos.root / "strangers" / name, read_whole(photos.images / "ant/0.jpg"));
  const std::string rest = "' --teacher '" + photos.weights.string() + "' --out '" + photos.out.string() + "'";
  const std::string start = executable("vitrine") + " distil '";
  says(start + (photos.root / "nowhere").string() + rest, "does not exist");
  says(start + (photos.images / "ant").string() + rest, "holds no class folder; put the photos of each class");
  fs::create_directories(photos.root / "one");
  fs::copy(photos.images / "ant", photos.root / "one/ant");
  says(start + (photos.root / "one").string() + rest, "holds only one class folder");
  fs::create_directories(photos.root / "few/a");
  fs::create_directories(photos.root / "few/b");
  fs::copy(photos.images / "ant/0.jpg", photos.root / "few/a/0.jpg");
  fs::copy(photos.images / "bee/0.jpg", photos.root / "few/b/0.jpg");
  says(start + (photos.root / "few").string() + rest, "holds 2 photos; expected at least 8");
  says(photos.command("--hours 0.000001"), "are not enough");
  says(photos.command("--hours inf"), "inf is not a number above 0");
  says(photos.command("--batch 33"), "--batch 33 is larger than a pass over 12 photos; give --batch 32 or less");
  for (const char* option : {"--val", "--test", "--unlabelled"}) {
    fs::create_directories(photos.root / "more/ant");
    const std::string more = " " + std::string(option) + " '" + (photos.root / "more/").string() + "'";
    const std::string in = std::string(" is in ") + option + " = " + (photos.root / "more/").string() + ", ";
    says(photos.command("--cache '" + (photos.root / "more/cache").string() + "'" + more), "--cache" + in);
    says(start + photos.images.string() + "' --teacher '" + photos.weights.string() + "' --out '" +
             (photos.root / "more/run").string() + "'" + more,
         "--out" + in);
  }
  says(photos.command("--cache '" + (photos.images / "cache").string() + "'"),
       "--cache is in PHOTOS = " + photos.images.string() +
           ", where its directory would count as a class; choose another --cache, outside the images");
  says(start + photos.images.string() + "' --teacher '" + photos.weights.string() + "' --out '" +
           (photos.root / "caf\xe9").string() + "'",
       "is not UTF-8, so that no TOML or JSON file can name it");
  says(start + photos.images.string() + rest + " --student resnet99", "resnet99");
  says(photos.command("--baseline --no-labels"), "--baseline trains from labels alone");
  says(photos.command("--no-labels --test '" + photos.images.string() + "'"), "--test evaluates by class folders");
  says(photos.command("--student-weights '" + (photos.root / "none.pth").string() + "'"),
       "none.pth: does not exist; give a weight file of the student");
  says(photos.command("--student-weights '" + photos.weights.string() + "'"),
       "choose the architecture, image size and classes that the weights were made for");
  fs::create_directories(photos.root / "empty/ant");
  fs::create_directories(photos.root / "empty/bee");
  for (const char* option : {"--val", "--test"}) {
    says(photos.command(option + (" '" + (photos.root / "empty").string() + "'")), "empty: holds no photo");
    says(photos.command(option + (" '" + (photos.root / "strangers").string() + "'")),
         "strangers: the class folders wasp, zebra are not among the 3 classes of the student");
    says(photos.command(option + (" '" + photos.images.string() + "/'")), "is the folder of the photos that teach");
  }
  says(start + photos.images.string() + "' --teacher '" + (photos.root / "none").string() + "' --out '" +
           photos.out.string() + "'",
       "give the teacher's weight file");
  CHECK_FALSE(fs::exists(photos.out));
  write_whole(photos.out / "letter.txt", "dear");
  says(photos.command(kShortDistillation), "is not empty, and not a directory of vitrine distil; choose another --out");
  CHECK(read_whole(photos.out / "letter.txt") == "dear");
  fs::remove(photos.out / "letter.txt");
  write_whole(photos.out / "extract.toml", "passes = 3\n");
  says(photos.command(kShortDistillation), "is not empty, and not a directory of vitrine distil");
  CHECK(read_whole(photos.out / "extract.toml") == "passes = 3\n");
  const std::string edited = "# Written by vitrine distil; vitrine extract THIS_FILE makes or resumes the cache.\n";
  write_whole(photos.out / "extract.toml", edited);
  says(photos.command(kShortDistillation), "is not empty, and not a directory of vitrine distil");
  CHECK(read_whole(photos.out / "extract.toml") == edited);
}
