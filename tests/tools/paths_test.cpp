// Every program with unusable paths: one sentence with a remedy, the exit code of the kind of error, and never an
// internal error.
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "tests/extract/fixture.h"
#include "tests/support/message.h"
#include "tests/support/ordinary_user.h"
#include "tests/support/skip.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// A position for a path in a command line, written as @.
struct Use {
  std::string program, words;
  bool may_be_empty = false;  // an empty path means none
};

struct Paths {
  ExtractFixture fixture;
  std::filesystem::path root = fixture.root.path();

  Paths() {
    REQUIRE(fixture.extract("cache", {"passes=1"}).exit_code == 0);
    write_whole(root / "train.toml", "images = '" + fixture.images.string() + "'\noutput = '" +
                                         (root / "run").string() +
                                         "'\nsize = 32\nbatch = 4\nmax_steps = 1\nthreads = 1\nworkers = 1\n"
                                         "[model]\nwidth = 4\n[schedule.align]\nepochs = 0\n");
    write_whole(root / "plain", "no folder");
    std::filesystem::create_symlink("loop", root / "loop");
    std::filesystem::create_symlink("nowhere", root / "dangling");
  }

  std::vector<Use> uses() const {
    const std::string extract =
                          "'" + fixture.config.string() + "' --set 'cache=" + (root / "new").string() + "' --set ",
                      train = "'" + (root / "train.toml").string() + "' --set ",
                      cache = "'" + (root / "cache").string() + "' ",
                      images = " --images '" + fixture.images.string() + "'";
    return {{"vitrine-extract", "@"},
            {"vitrine-extract", extract + "images=@"},
            {"vitrine-extract", extract + "unlabelled=@", true},
            {"vitrine-extract", extract + "cache=@"},
            {"vitrine-extract", extract + "teacher.weights=@"},
            {"vitrine-extract", extract + "class_map=@", true},
            {"vitrine-train", "@"},
            {"vitrine-train", train + "images=@"},
            {"vitrine-train", train + "output=@"},
            {"vitrine-train", train + "validation=@", true},
            {"vitrine-train", train + "model.weights=@", true},
            {"vitrine-train", train + "targets.source=cache --set targets.cache=@"},
            {"vitrine-train", train + "test='" + fixture.images.string() + "' --evaluate @"},
            {"vitrine-cache", "info @"},
            {"vitrine-cache", "verify @"},
            {"vitrine-cache", "verify " + cache + "--images @", true},
            {"vitrine-cache", "repair @"},
            {"vitrine-cache", "show " + cache + "--count 1 --images @ --out '" + (root / "sheet.png").string() + "'"},
            {"vitrine-cache",
             "show " + cache + "--count 1" + images + " --class-names @ --out '" + (root / "sheet.png").string() + "'",
             true},
            {"vitrine-cache", "show " + cache + "--count 1" + images + " --out @"},
            {"vitrine-cache", "recode @ --from logits --encoding fp16 --to '" + (root / "recoded").string() + "'"},
            {"vitrine-cache", "recode " + cache + "--from logits --encoding fp16 --to @"},
            {"vitrine-cache", "estimate @"},
            {"vitrine-cache", "estimate '" + fixture.config.string() + "' --scratch @", true},
            {"vitrine-export", "@ --format onnx"},
            {"vitrine-classify", "@ '" + fixture.images.string() + "'"},
            {"vitrine-draw", "@ --images 2 --classes 4 --size 24"},
            {"vitrine-bench", "read --cache @", true},
            {"vitrine-bench", "codec --curve 0 --synthetic 0 --cache @", true},
            {"vitrine-bench", "codec --curve 0 --synthetic 0 --targets @", true}};
  }

  std::string words(const Use& use, const std::string& path) const {
    std::string out = use.words;
    return out.replace(out.find('@'), 1, "'" + path + "'");
  }

  static void check(const Use& use, const CommandResult& result) {
    CAPTURE(use.program);
    CAPTURE(use.words);
    CAPTURE(result.output);
    CHECK((result.exit_code == 2 || result.exit_code == 3));
    REQUIRE(result.output.size() > 1);
    const std::string last = result.output.substr(result.output.rfind('\n', result.output.size() - 2) + 1);
    CHECK(last.starts_with(use.program + ": "));
    CHECK(result.output.find("report it") == std::string::npos);
    CHECK(result.output.find("filesystem error") == std::string::npos);
  }
};

}  // namespace

TEST_CASE("a symlink loop, an overlong name, a file in the way and an empty path each give one sentence") {
  const Paths paths;
  const std::string root = paths.root.string() + "/";
  const std::vector<std::string> others{root + std::string(300, 'n'), root + "plain/below", root + "dangling/below"};
  const std::vector<Use> uses = paths.uses();
  for (std::size_t i = 0; i < uses.size(); ++i)
    for (const std::string& path : {root + "loop/below", others[i % others.size()], std::string()}) {
      if (path.empty() && uses[i].may_be_empty) continue;
      CAPTURE(path);
      Paths::check(uses[i],
                   run("cd '" + root + "' && '" + executable(uses[i].program) + "' " + paths.words(uses[i], path)));
    }
  // The programs' working directory is still empty.
  CHECK_FALSE(std::filesystem::exists(paths.root / "index.h5"));
  CHECK_FALSE(std::filesystem::exists(paths.root / "recipes"));
  CHECK_FALSE(std::filesystem::exists(paths.root / "red_disc"));
}

TEST_CASE("a directory without permission gives one sentence with the reason") {
  const Paths paths;
  open_to_all(paths.root);
  std::filesystem::create_directory(paths.root / "closed");
  std::filesystem::permissions(paths.root / "closed", std::filesystem::perms::none);
  bool any = false;
  for (const Use& use : paths.uses()) {
    const auto result =
        run_as_ordinary_user(executable(use.program), paths.words(use, (paths.root / "closed/below").string()));
    if (!result) continue;
    any = true;
    CAPTURE(use.program);
    CAPTURE(use.words);
    CAPTURE(result->output);
    Paths::check(use, *result);
    CHECK(result->exit_code == 3);
    CHECK(has(result->output, "Permission denied"));
  }
  std::filesystem::permissions(paths.root / "closed", std::filesystem::perms::all);
  if (!any) skip("no ordinary user can run this build's programs here");
}
