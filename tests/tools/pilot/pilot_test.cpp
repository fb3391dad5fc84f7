// vitrine pilot: two teachers are ranked by what students learn from them, through the front door.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/extract/fixture.h"
#include "tests/support/message.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kShortPilot = "--groups 2 --passes 2 --epochs 2 --held-out 12 --width 8 ";

struct Teachers : ExtractFixture {
  fs::path out = root / "pilot", first = root / "first.toml", second = root / "second.toml";

  Teachers() {
    RandomStream draws(2, Purpose::kSample);
    for (const char* name : {"ant", "bee", "cat"})
      for (int i = 5; i < 14; ++i) {
        Image image(40, 40);
        for (auto& value : image.rgb) value = static_cast<std::uint8_t>(draws.bits());
        write_whole(images / name / (std::to_string(i) + ".jpg"), as_text(encode_jpeg(image, 90)));
      }
    save(first, "first", 1);
    save(second, "second", 2);
  }
  void save(const fs::path& file, const std::string& name, std::uint64_t seed, const std::string& more = {},
            int group = 8) const {
    save_teacher(root / (name + ".safetensors"), 3, seed);
    write_whole(file, "images = '" + images.string() + "'\ncache = '" + (root / "never").string() + "'\nworkers = 1\n" +
                          more + "[teacher]\nname = '" + name + "'\nweights = '" +
                          (root / (name + ".safetensors")).string() + "'\nheads = 2\nmicro_batch = 4\ndevice = '" +
                          test_device() +
                          "'\n[taps]\nfeatures = [-1]\nattention = [-1]\ncalibration_views = 8\n"
                          "[plan]\ngroup = " +
                          std::to_string(group) + "\nimage_size = 32\n");
  }
  std::string command(const std::string& more, const fs::path& folder) const {
    return executable("vitrine") + " pilot '" + first.string() + "' '" + second.string() + "' --out '" +
           folder.string() + "' --set device=" + test_device() + " --set threads=1 --set workers=1 " + more;
  }
  CommandResult pilot(const std::string& more) const { return run(command(more, out)); }
  json ranking(const fs::path& folder) const { return json::parse(read_whole(folder / "ranking.json")); }

  /// The pictures that the links of a folder lead to.
  std::set<std::string> linked(const std::string& part) const {
    std::set<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(out / "images" / part))
      if (entry.is_symlink()) found.insert(fs::canonical(entry.path()).string());
    return found;
  }
};

std::map<std::string, double> top1_of(const json& ranking) {
  std::map<std::string, double> found;
  for (const json& teacher : ranking.at("teachers"))
    found[teacher.at("name").get<std::string>()] = teacher.at("student_top1").get<double>();
  return found;
}

}  // namespace

TEST_CASE("pilot: teachers are ranked by their students, and finished steps are not repeated") {
  const Teachers fixture;
  const CommandResult result = fixture.pilot(kShortPilot);
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  for (const char* words : {"student's top-1", "== 1 of 8: first, its top-1",
                            "== 8 of 8: second, the student's answers", "points", "core time per view"})
    CHECK(has(result.output, words));
  const json ranking = fixture.ranking(fixture.out);
  const json& teachers = ranking.at("teachers");
  REQUIRE(teachers.size() == 2);
  CHECK(std::set<std::string>{teachers[0].at("teacher"), teachers[1].at("teacher")} ==
        std::set<std::string>{"first", "second"});
  CHECK(teachers[0].at("student_top1").get<double>() >= teachers[1].at("student_top1").get<double>());
  for (const json& teacher : teachers) {
    const double top1 = teacher.at("student_top1").get<double>();
    CHECK(top1 >= 0);
    CHECK(top1 <= 1);
    CHECK(teacher.at("student_top1_standard_error").get<double>() ==
          doctest::Approx(std::sqrt(top1 * (1 - top1) / 12)));
    CHECK(teacher.at("held_out") == 12);
    CHECK(teacher.at("bytes_per_view").get<double>() > 0);
    CHECK(teacher.at("core_ms_per_image").get<double>() > 0);
    const auto summary =
        json::parse(read_whole(fixture.out / teacher.at("name").get<std::string>() / "run/summary.json"));
    CHECK(summary.at("validation_top1").get<double>() == doctest::Approx(top1));
  }
  const double p = teachers[1].at("against_first").at("p").get<double>();
  CHECK(ranking.at("first_two_told_apart") == (p < 0.05));
  CHECK(has(result.output, p < 0.05 ? "the best teacher: " : "cannot be told apart"));

  const std::set<std::string> train = fixture.linked("train"), held_out = fixture.linked("held_out");
  CHECK(train.size() == 16);
  CHECK(held_out.size() == 12);
  for (const std::string& picture : held_out) CHECK(train.count(picture) == 0);
  CHECK_FALSE(fs::exists(fixture.root / "never"));  // the configurations' own cache
  CHECK_FALSE(fs::exists(fixture.out / "first/cache"));

  const std::string log = read_whole(fixture.out / "first/run/metrics.jsonl");
  const CommandResult again = fixture.pilot(kShortPilot);
  CAPTURE(again.output);
  CHECK(again.exit_code == 0);
  CHECK_FALSE(has(again.output, "== 1 of"));
  CHECK(has(again.output, "student's top-1"));
  CHECK(read_whole(fixture.out / "first/run/metrics.jsonl") == log);
  CHECK(fixture.ranking(fixture.out) == ranking);

  const CommandResult as_json = run("( " + fixture.command(kShortPilot, fixture.out) + "--json 2>/dev/null )");
  CHECK(as_json.exit_code == 0);
  CHECK(json::parse(as_json.output) == ranking);

  const CommandResult other = fixture.pilot("--groups 2 --passes 2 --epochs 3 --held-out 12 --width 8");
  CHECK(other.exit_code == 2);
  CHECK(has(other.output, "was begun with another request: epochs is 2.0, but 3.0 in this command"));
  fixture.save(fixture.second, "second", 2, "hold_out = 0.1\n");
  fixture.save(fixture.first, "first", 1, "hold_out = 0.1\n");
  const CommandResult edited = fixture.pilot(kShortPilot);
  CHECK(edited.exit_code == 2);
  CHECK(has(edited.output, "hold_out is nothing, but 0.1 in this command"));
}

TEST_CASE("pilot: the draw depends on the seed, not on files that are added elsewhere") {
  const Teachers fixture;
  const std::string tiny = "--groups 1 --passes 1 --epochs 1 --held-out 10 --width 4 ";
  REQUIRE(fixture.pilot(tiny).exit_code == 0);
  const std::set<std::string> before = fixture.linked("held_out");
  fs::remove_all(fixture.out);
  fs::copy(fixture.images / "cat/3.jpg", fixture.images / "cat/zzz.jpg");
  write_whole(fixture.images / "ant/notes.txt", "no picture");
  const CommandResult result = fixture.pilot(tiny + "--keep");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(fs::exists(fixture.out / "first/cache/index.h5"));
  const std::set<std::string> now = fixture.linked("held_out");
  for (const std::string& picture : before)
    if (!has(picture, "/cat/")) CHECK(now.count(picture) == 1);
  for (const std::string& picture : now) CHECK(picture.ends_with(".jpg"));
}

TEST_CASE("pilot: a stop is passed on, and the same command resumes to the same ranking") {
  const Teachers fixture;
  const std::string more = "--groups 2 --passes 1 --epochs 40 --held-out 12 --width 8 ";
  const CommandResult stopped = run("( " + fixture.command(more, fixture.out) + " & child=$!; until [ -s '" +
                                    (fixture.out / "first/run/metrics.jsonl").string() +
                                    "' ]; do kill -0 $child || exit 1; sleep 0.05; done; kill -TERM $child; wait "
                                    "$child )");
  CAPTURE(stopped.output);
  REQUIRE(stopped.exit_code == 130);
  CHECK(has(stopped.output, "stopped, in step 3 of 8 (first, its student)"));
  CHECK(has(stopped.output, "to resume: "));
  const auto step = json::parse(read_whole(fixture.out / "first/run/checkpoints/last.json")).at("step").get<int>();
  CHECK(step > 0);
  const CommandResult resumed = fixture.pilot(more);
  CAPTURE(resumed.output);
  REQUIRE(resumed.exit_code == 0);
  CHECK(has(resumed.output, "== 1 of 7: first, its targets"));
  const CommandResult whole = run(fixture.command(more, fixture.root / "whole"));
  REQUIRE(whole.exit_code == 0);
  CHECK(top1_of(fixture.ranking(fixture.out)) == top1_of(fixture.ranking(fixture.root / "whole")));
}

TEST_CASE("pilot: a teacher without a head has no top-1, but teaches; its configuration's path need not be UTF-8") {
  Teachers fixture;
  fixture.second = fixture.root / "caf\xe9/second.toml";
  fixture.save(fixture.second, "second", 2);
  Tensors tensors = load_safetensors(fixture.root / "second.safetensors");
  std::erase_if(tensors, [](const auto& entry) { return entry.first.starts_with("head."); });
  save_safetensors(fixture.root / "second.safetensors", tensors);
  const CommandResult result = fixture.pilot(kShortPilot);
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(has(result.output, "has no head"));
  const json ranking = fixture.ranking(fixture.out);
  REQUIRE(ranking.at("teachers").size() == 2);
  for (const json& teacher : ranking.at("teachers"))
    CHECK(teacher.at("teacher_top1").is_null() == (teacher.at("name") == "second"));
}

TEST_CASE("pilot: --dry-run says what would be done, and writes nothing") {
  const Teachers fixture;
  const CommandResult result = fixture.pilot(std::string(kShortPilot) + "--dry-run");
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  for (const char* words : {"42 in 3 classes", "32 views in 2 passes", "in total: about "})
    CHECK(has(result.output, words));
  CHECK(has(result.output, "batch 8\n"));
  CHECK_FALSE(fs::exists(fixture.out));
  CHECK_FALSE(fs::exists(fixture.root / "never"));
}

TEST_CASE("pilot: teachers of unlike groups have students of one batch where it fits all of them, or it is told") {
  const Teachers fixture;
  const auto told = [&](int group) {
    fixture.save(fixture.second, "second", 2, {}, group);
    const CommandResult result = fixture.pilot(std::string(kShortPilot) + "--dry-run");
    CAPTURE(result.output);
    CHECK(result.exit_code == 0);
    return result.output;
  };
  CHECK(has(told(4), "batch 4\n"));
  const std::string unlike = told(12);
  CAPTURE(unlike);
  CHECK(has(unlike, "batch 8, 12"));
  CHECK(has(unlike, "as their teachers' groups; --set batch=N makes them alike"));
}

TEST_CASE("pilot: a configuration's further images without labels are left aside") {
  const Teachers fixture;
  const fs::path more = fixture.root / "more";
  write_whole(more / "1.jpg", read_whole(fixture.images / "ant/1.jpg"));
  fixture.save(fixture.first, "first", 1, "unlabelled = '" + more.string() + "'\n");
  const CommandResult result = fixture.pilot(std::string(kShortPilot) + "--dry-run");
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "42 in 3 classes"));
}

TEST_CASE("pilot: what cannot be is refused in one sentence, and nothing is written") {
  const Teachers fixture;
  const auto says = [&](const std::string& arguments, const std::string& words) {
    const CommandResult result =
        run(executable("vitrine") + " pilot " + arguments + " --out '" + fixture.out.string() + "'");
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(has(result.output, words));
    CHECK(std::ranges::count(result.output, '\n') == 1);
    CHECK_FALSE(fs::exists(fixture.out));
  };
  const auto quoted = [](const fs::path& path) { return "'" + path.string() + "' "; };
  const std::string both = quoted(fixture.first) + quoted(fixture.second);
  says(quoted(fixture.first) + quoted(fixture.first), "the configurations' file names must differ");
  says(quoted(fixture.root / "none.toml"), "none.toml");
  write_whole(fixture.root / "bad.toml", "images = [");
  says(quoted(fixture.root / "bad.toml"), "bad.toml");
  says(both + "--held-out 3", "--held-out");
  says(both + "--set model.depth=3", "model.depth");
  says(both + "--set output=here", "--set output: vitrine pilot itself sets it");
  says(both + "--allow luck", "\"luck\" is not known; expected one of mixed, module");
  says(both + "--json --dry-run", "--json is of the ranking");
  fixture.save(fixture.root / "images.toml", "images", 3);
  says(quoted(fixture.root / "images.toml"), "give the configuration another file name");
  fixture.save(fixture.root / "none.toml", "none", 3, "labels = 'none'\n");
  says(quoted(fixture.root / "none.toml"), "labels = \"none\", but students are scored on labelled images");
  fs::remove(fixture.root / "none.safetensors");
  fixture.save(fixture.root / "lost.toml", "lost", 3);
  fs::remove(fixture.root / "lost.safetensors");
  says(quoted(fixture.root / "lost.toml"), "lost.safetensors does not exist");
  fixture.save(fixture.root / "share.toml", "share", 3, "hold_out = 0.2\n");
  says(both + quoted(fixture.root / "share.toml"), "differ in hold_out");
  std::string few = read_whole(fixture.first);
  few.replace(few.find(fixture.images.string()), fixture.images.string().size(), (fixture.root / "few").string());
  write_whole(fixture.root / "few.toml", few);
  for (const char* name : {"ant/1.jpg", "ant/2.jpg", "ant/3.jpg", "bee/1.jpg", "bee/2.jpg", "bee/3.jpg"})
    write_whole(fixture.root / "few" / name, read_whole(fixture.images / name));
  says(quoted(fixture.root / "few.toml"),
       "has 2 pictures that could teach and 4 to score students; expected at least 8 (a group) and 10");
  const CommandResult inside =
      run(executable("vitrine-pilot") + " " + both + "--out '" + (fixture.images / "pilot").string() + "'");
  CHECK(inside.exit_code == 2);
  CHECK(
      has(inside.output, "--out is in images = " + fixture.images.string() +
                             ", where its directory would count as a class; choose another --out, outside the images"));
  CHECK_FALSE(fs::exists(fixture.images / "pilot"));
  const fs::path one = fixture.root / "one";
  fs::create_directories(one);
  fs::copy(fixture.images / "ant", one / "ant");
  std::string elsewhere = read_whole(fixture.second);
  elsewhere.replace(elsewhere.find(fixture.images.string()), fixture.images.string().size(), one.string());
  write_whole(fixture.second, elsewhere);
  says(both, "name different images");
  says(quoted(fixture.second), "holds only one class folder");
  write_whole(fixture.out / "letter.txt", "dear");
  const CommandResult result = run(executable("vitrine-pilot") + " " + quoted(fixture.first) + kShortPilot + "--out '" +
                                   fixture.out.string() + "'");
  CHECK(result.exit_code == 2);
  CHECK(has(result.output, "is not empty, and not a directory of vitrine pilot"));
  CHECK(read_whole(fixture.out / "letter.txt") == "dear");
}
