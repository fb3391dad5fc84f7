#include "common/config/config.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "tests/support/instances.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

namespace vitrine {
namespace {

using testing::has;

enum class Colour { kRed, kBlue };

struct Inner {
  double rate = 0.1;
  std::vector<std::string> names = {"a"};
  void fields(Fields& f) {
    f.number("learning_rate", rate, "how far a step goes", {0, 1});
    f.texts("names", names, "some names");
  }
  bool operator==(const Inner&) const = default;
};

struct Options {
  bool on = false;
  std::uint32_t count = 3;
  std::int64_t wide = 0;
  std::uint8_t small = 1;
  std::string title = "plain";
  Colour colour = Colour::kRed;
  std::vector<int> steps = {1, 2};
  std::vector<double> weights = {0.5};
  Inner inner;
  void fields(Fields& f) {
    f.flag("on", on, "whether it runs");
    f.integer("count", count, "how many", {1, 10});
    f.integer("wide", wide, "any integer");
    f.integer("small", small, "a byte");
    f.text("title", title, "what it is called");
    f.choice("colour", colour, {{"red", Colour::kRed}, {"blue", Colour::kBlue}}, "which colour");
    f.integers("steps", steps, "when", {0, 100});
    f.numbers("weights", weights, "how heavy", {0, 1});
    f.section("inner", inner, "more");
  }
  bool operator==(const Options&) const = default;
};

Options load(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  const testing::TemporaryDirectory directory;
  testing::write_whole(directory / "run.toml", toml);
  Options options;
  load_config(directory / "run.toml", overrides, options);
  return options;
}

Options set(const std::vector<std::string>& overrides) {
  Options options;
  load_config("", overrides, options);
  return options;
}

// Whether the action fails with a message that contains all of the words.
bool refused(const std::function<void()>& action, const std::vector<std::string>& words) {
  std::string message = "no error";
  try {
    action();
  } catch (const Error& error) {
    message = error.what();
  }
  const bool all = message != "no error" && std::all_of(words.begin(), words.end(), [&](const std::string& word) {
                     return message.find(word) != std::string::npos;
                   });
  if (!all) MESSAGE(message);
  return all;
}

TEST_CASE("a file sets the keys it names and leaves the others") {
  const Options options =
      load("on = true\ncolour = 'blue'\nsteps = []\nweights = [1, 0.25]\n[inner]\nlearning_rate = 1\n");
  Options expected;
  expected.on = true;
  expected.colour = Colour::kBlue;
  expected.steps = {};
  expected.weights = {1, 0.25};
  expected.inner.rate = 1;
  CHECK(options == expected);
  CHECK(load("") == Options{});
}

TEST_CASE("--set overrides the file, the last one wins, and text needs no quotes") {
  const Options options = load("count = 4\n", {"count=5", "count=6", "inner.learning_rate=0.5", "title=a b=c",
                                               "colour=blue", "inner.names=[\"x\", \"y\"]"});
  CHECK(options.count == 6);
  CHECK(options.inner.rate == 0.5);
  CHECK(options.title == "a b=c");
  CHECK(options.colour == Colour::kBlue);
  CHECK(options.inner.names == std::vector<std::string>{"x", "y"});
  CHECK(set({"title=\"quoted\""}).title == "quoted");
  CHECK(set({"title="}).title.empty());
  CHECK(set({"count = 4"}).count == 4);
  CHECK(set({"title = \"a b\""}).title == "a b");
  CHECK(set({"title= a"}).title == " a");
  CHECK(set({"title = "}).title.empty());
}

TEST_CASE("an unknown key is refused with the nearest known one and its file") {
  CHECK(refused([] { load("cuont = 3\n"); }, {"run.toml", "unknown key cuont", "did you mean count?"}));
  CHECK(refused([] { load("[inner]\nlearningrate = 1\n"); },
                {"inner.learningrate", "did you mean inner.learning_rate?"}));
  CHECK(refused([] { set({"coulour='red'"}); }, {"--set", "did you mean colour?"}));
  CHECK(refused([] { set({"zzzzzzzz=1"}); }, {"unknown key zzzzzzzz", "--help-keys"}));
  CHECK(nearest_word("tile", {"title", "colour"}) == "title");
  CHECK(nearest_word("xyz", {"title", "colour"}).empty());
}

TEST_CASE("a key of a section in quotes, with its dot, is refused with its line, as it would set nothing") {
  const std::vector<std::string> words = {"run.toml, line 2: ", "inner.learning_rate without quotes"};
  CHECK(refused([] { load("on = true\n\"inner.learning_rate\" = 0.5\n"); }, words));
  CHECK(refused([] { load("on = true\n'inner.learning_rate' = 0.5\n"); }, words));
  CHECK(refused([] { load("on = true\n\"inner.learningrate\" = 0.5\n"); }, {"line 2: unknown key inner.learningrate"}));
  CHECK(load("\"count\" = 4\n\"inner\".\"learning_rate\" = 0.5\n").inner.rate == 0.5);
  CHECK(set({"inner.learning_rate=0.5"}).inner.rate == 0.5);
}

TEST_CASE("a value out of its range is refused with the range") {
  CHECK(refused([] { load("count = 11\n"); }, {"run.toml", "count = 11", "from 1 to 10"}));
  CHECK(refused([] { set({"count=-1"}); }, {"count = -1", "from 1 to 10"}));
  CHECK(refused([] { set({"small=256"}); }, {"small = 256", "from 0 to 255"}));
  CHECK(refused([] { set({"inner.learning_rate=1.5"}); }, {"inner.learning_rate = 1.5", "from 0 to 1"}));
  CHECK(refused([] { set({"inner.learning_rate=nan"}); }, {"inner.learning_rate = nan"}));
  CHECK(refused([] { set({"steps=[1, 101]"}); }, {"steps", "from 0 to 100"}));
  CHECK(refused([] { set({"colour=green"}); }, {"colour", "green", "one of red, blue"}));
}

TEST_CASE("a value of another type is refused with the expected one") {
  CHECK(refused([] { load("count = '3'\n"); }, {"count", "an integer"}));
  CHECK(refused([] { load("count = 3.0\n"); }, {"count", "an integer"}));
  CHECK(refused([] { load("on = 1\n"); }, {"on = 1", "true or false"}));
  CHECK(refused([] { load("title = 3\n"); }, {"title = 3", "text in quotes"}));
  CHECK(refused([] { load("steps = 3\n"); }, {"steps = 3", "a list of integers"}));
  CHECK(refused([] { load("inner = 3\n"); }, {"inner = 3", "section"}));
  CHECK(refused([] { load("[inner]\nnames = ['a', 3]\n"); }, {"inner.names", "a list of texts"}));
}

// The message for a file of these lines, after the file's name and ", ".
std::string answer_to(const std::string& toml) {
  const std::string message = testing::message_of([&] { load(toml); });
  return message.substr(std::min(message.size(), message.find(", line") + 2));
}

std::string answer_to_set(const std::string& words) {
  return testing::message_of([&] { set({words}); });
}

TEST_CASE("a line that is not TOML is refused by one sentence with its key and what would work") {
  const auto is = [](const std::string& toml, const std::string& words) {
    CAPTURE(toml);
    CHECK(answer_to(toml) == words);
  };
  is("on = true\ncount = = 3\n",
     "line 2: count = = 3 is not allowed; expected an integer from 1 to 10, for instance count = 3");
  is("title = d/train  # photos\n",
     "line 1: title = d/train is not allowed; expected text in quotes, for instance title = \"d/train\"");
  is("title = \"d/train\ncount = 3\n",
     "line 1: title = \"d/train is not allowed; expected text in quotes, for instance title = \"d/train\"");
  is("title = “x”\n", "line 1: title = “x” is not allowed; expected text in quotes, for instance title = \"x\"");
  is("on = True\n", "line 1: on = True is not allowed; expected true or false, for instance on = true");
  is("count =\n", "line 1: count has no value; expected count = 3");
  is("count\n", "line 1: count has no value; expected count = 3");
  is("count 4\n", "line 1: count has no value; expected count = 4");
  is("count: 4\n", "line 1: count has no value; expected count = 4");
  is("colour = blue\n",
     "line 1: colour = blue is not allowed; expected one of red, blue, for instance colour = \"blue\"");
  is("[inner]\nlearning_rate = .5\n",
     "line 2: inner.learning_rate = .5 is not allowed; expected a number from 0 to 1, for instance "
     "learning_rate = 0.5");
  is("[inner]  # as usual\nnames = a\n",
     "line 2: inner.names = a is not allowed; expected a list of texts in quotes, for instance names = [\"a\"]");
  is("inner.names = a,\n",
     "line 1: inner.names = a, is not allowed; expected a list of texts in quotes, for instance inner.names = [\"a\"]");
  is("[inner]\nlearning_rate = 1;\n",
     "line 2: inner.learning_rate = 1; is not allowed; expected a number from 0 to 1, for instance learning_rate = "
     "1.0");
  is("steps = [1,\n  2,\ncount = 4\n",
     "line 1: steps = [1, ... is not allowed; expected a list of integers from 0 to 100, for instance steps = [1, 2]");
  is("inner = fast\n",
     "line 1: inner = fast is not allowed; inner is a section with keys of its own: inner.learning_rate, inner.names; "
     "for instance inner.learning_rate = 0.1");
  is("[inner\nlearning_rate = 1\n", "line 1: [inner is not TOML; expected [inner]");
  is("count = 3\ncount = 4\n", "line 2: count is given a second time; give each key and each section once");
  is("[inner]\n\n[inner]\n", "line 3: inner is given a second time; give each key and each section once");
  is("a b c\n", "line 1: unknown key a; --help-keys lists all");
  is("[[]\nx\n", "line 1: [[] is not TOML; expected the name of a section in brackets");
  const std::string long_value(59, 'x');
  is("count = " + long_value + "éx\n",
     "line 1: count = " + long_value + " ... is not allowed; expected an integer from 1 to 10, for instance count = 3");
  is("<xml/>\n", "line 1: <xml/> is not TOML; expected key = value, for instance count = 3");
  is("on = true\ntitle = 'caf\xe9'\n", "line 2: is not UTF-8; save the file in this encoding");
  CHECK(refused(
      [] {
        Options options;
        load_config("/no/such/run.toml", {}, options);
      },
      {"/no/such/run.toml"}));
}

TEST_CASE("an override that is not TOML is refused by one sentence with what would work") {
  const auto is = [](const std::string& words, const std::string& message) {
    CAPTURE(words);
    CHECK(answer_to_set(words) == "--set " + words + ": " + message);
  };
  is("count", "count has no value; expected key=value, for instance count=3");
  is("=3", "expected key=value, for instance count=3");
  is("count=a", "count = a is not allowed; expected an integer from 1 to 10, for instance count=3");
  is("count=[3", "count = [3 is not allowed; expected an integer from 1 to 10, for instance count=3");
  is("on=Off", "on = Off is not allowed; expected true or false, for instance on=false");
  is("title=\"a", "title = \"a is not allowed; expected text in quotes, for instance title=a");
  is("weights=.5,1",
     "weights = .5,1 is not allowed; expected a list of numbers from 0 to 1, for instance 'weights=[0.5, 1.0]'");
  is("inner=red",
     "inner = red is not allowed; inner is a section with keys of its own: inner.learning_rate, "
     "inner.names; for instance inner.learning_rate=0.1");
}

TEST_CASE("what is given as an instance of a key works for it") {
  testing::check_instances<Options>();
}

TEST_CASE("a section's keys are named by the word that one of them allows") {
  struct Model {
    std::string arch = "resnet18", kind = "plain";
    std::int64_t a = 1, b = 1, c = 1, d = 1, e = 1, g = 1, h = 1;
    void fields(Fields& f) {
      f.choice<std::string>("arch", arch, {{"resnet18", "resnet18"}, {"resnet50", "resnet50"}}, "which");
      f.integer("a", a, ""), f.integer("b", b, ""), f.integer("c", c, ""), f.integer("d", d, "");
      f.integer("e", e, ""), f.integer("g", g, ""), f.integer("h", h, ""), f.text("kind", kind, "");
    }
  };
  struct Run {
    Model model;
    void fields(Fields& f) { f.section("model", model, "the model"); }
  };
  Run run;
  CHECK(testing::message_of([&] { load_config({}, {"model=resnet50"}, run); }) ==
        "--set model=resnet50: model = resnet50 is not allowed; model is a section with keys of its own: model.arch, "
        "model.a, model.b, model.c, model.d, model.e, model.g, model.h and 1 more, which --help-keys model lists; did "
        "you mean model.arch=resnet50?");
}

TEST_CASE("what is refused in a file has its line, and numbers are shown as they were written") {
  CHECK(answer_to("on = true\ncuont = 3\n") == "line 2: unknown key cuont; did you mean count?");
  CHECK(answer_to("[inner]\n\nlearningrate = 3\n") ==
        "line 3: unknown key inner.learningrate; did you mean inner.learning_rate?");
  CHECK(answer_to("on = true\n\ncount = 0.9\n") ==
        "line 3: count = 0.9 is not allowed; expected an integer from 1 to 10");
  CHECK(answer_to("steps = [0.9,\n 1.1]\n") ==
        "line 1: steps = [0.9, 1.1] is not allowed; expected a list of integers from 0 to 100");
  CHECK(answer_to("inner = 0.9\n").starts_with("line 1: inner = 0.9 is not allowed; inner is a section"));
  CHECK(answer_to("wide = 0.5\n") == "line 1: wide = 0.5 is not allowed; expected an integer");
}

TEST_CASE("the printed configuration reads back as the same options") {
  Options options;
  options.on = true;
  options.count = 10;
  options.wide = std::numeric_limits<std::int64_t>::min() + 1;
  options.title = "quotes \" and ' and \\ and\na line, ünïcode";
  options.colour = Colour::kBlue;
  options.steps = {};
  options.weights = {0.1, 1.0 / 3, 1e-300, 1};
  options.inner.rate = 0.30000000000000004;
  options.inner.names = {"", "a, b", "]"};
  const std::string toml = config_as_toml(options);
  CHECK(load(toml) == options);
  CHECK(config_as_toml(load(toml)) == toml);
  CHECK(load(config_as_toml(Options{})) == Options{});
}

TEST_CASE("the changed keys are those that differ from the defaults, and read back as the same options") {
  CHECK(config_changes(Options{}).empty());
  Options options;
  options.count = 10;
  options.title = "other";
  options.inner.names = {};
  CHECK(config_changes(options) == "count = 10\ntitle = 'other'\ninner.names = []\n");
  CHECK(load(config_changes(options)) == options);
  CHECK(config_changes(Options{}, options) == "count = 3\ntitle = 'plain'\ninner.names = ['a']\n");
}

TEST_CASE("a key without its section, or with another tool's name, is refused with the right key") {
  CHECK(refused([] { set({"learning_rate=1"}); }, {"unknown key learning_rate", "did you mean inner.learning_rate?"}));
  struct Phase {
    double lr = 1, warm_up_epochs = 0, r_from = 1;
    void fields(Fields& f) {
      f.number("lr", lr, "how far a step goes");
      f.number("warm_up_epochs", warm_up_epochs, "epochs of rising steps");
      f.number("r_from", r_from, "share of the teacher");
    }
  };
  struct Run {
    Phase align, joint;
    double stddev = 1;
    std::int64_t batch = 1;
    void fields(Fields& f) {
      f.section("align", align, "first");
      f.section("joint", joint, "second");
      f.number("std", stddev, "standard deviation");
      f.integer("batch", batch, "views per step");
    }
  };
  const auto answer = [](const char* words) {
    Run run;
    return testing::message_of([&] { load_config({}, {words}, run); });
  };
  CHECK(answer("lr=1") == "--set lr=1: unknown key lr; did you mean align.lr or joint.lr?");
  CHECK(answer("joint.learning_rate=1") ==
        "--set joint.learning_rate=1: unknown key joint.learning_rate; did you mean joint.lr?");
  CHECK(answer("deviation=1") == "--set deviation=1: unknown key deviation; did you mean std?");
  CHECK(answer("batch_size=1") == "--set batch_size=1: unknown key batch_size; did you mean batch?");
  CHECK(answer("warmup=3") ==
        "--set warmup=3: unknown key warmup; did you mean align.warm_up_epochs or joint.warm_up_epochs?");
  CHECK(answer("joint.warm_up=3") ==
        "--set joint.warm_up=3: unknown key joint.warm_up; did you mean joint.warm_up_epochs?");
  CHECK(answer("alpha=.5") == "--set alpha=.5: unknown key alpha; did you mean align.r_from or joint.r_from?");
  for (const char* word : {"warmup", "Learning_Rate", "align.warmup"}) {
    CAPTURE(word);
    const std::string help = config_help(Run(), {}, word);
    const char* key = std::string(word) == "Learning_Rate" ? "joint.lr = " : "joint.warm_up_epochs = ";
    CHECK(has(help, key));
    CHECK(help.find("batch = ") == std::string::npos);
  }
}

TEST_CASE("keys are listed once, common ones first, or only those related to a word") {
  const std::string all = config_help(Options(), {"inner.learning_rate"});
  CHECK(all.find("inner.learning_rate = 0.1") < all.find("count = 3"));
  CHECK(all.find("inner.learning_rate = 0.1") == all.rfind("inner.learning_rate = 0.1"));
  const std::string some = config_help(Options(), {"inner.learning_rate"}, "HOW MANY");
  CHECK(has(some, "count = 3"));
  CHECK(some.find("learning_rate") == std::string::npos);
  CHECK(refused([] { config_help(Options(), {}, "zzzz"); }, {"zzzz", "--help-keys lists all"}));
}

TEST_CASE("help shows each key once with its default, meaning and range") {
  const std::string help = config_help<Options>();
  for (const char* words :
       {"count = 3", "how many (from 1 to 10)", "[inner]", "inner.learning_rate = 0.1", "one of red, blue"}) {
    CAPTURE(words);
    CHECK(has(help, words));
  }
  CHECK(help.find("count = 3") == help.rfind("count = 3"));
}

}  // namespace
}  // namespace vitrine
