#include "common/config/command_line.h"

#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "common/base/screen.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

namespace vitrine {
namespace {

using testing::has;
using testing::message_of;

// RAII: captures standard output.
class Output {
 public:
  Output() : before_(std::cout.rdbuf(text_.rdbuf())) {}
  ~Output() { std::cout.rdbuf(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf* before_;
};

struct Program {
  CommandLine line{"a program", "vitrine-try"};
  std::optional<int> parse(std::vector<const char*> words) {
    words.insert(words.begin(), "vitrine-try");
    return line.parse(static_cast<int>(words.size()), words.data());
  }
};

struct Plain : Program {
  int count = 0;
  std::string file;
  Plain() {
    line.add_option("FILE", file).required();
    line.add_option("--count", count).range(1, 9);
  }
};

struct Several : Program {
  int count = 0;
  Several() {
    line.add_subcommand("look").add_option("--far", count);
    line.add_subcommand("listen");
  }
};

TEST_CASE("shell_command quotes a command line for a shell") {
  const char* const words[] = {"build/vitrine-try", "it's here/a b.toml", "--set", "plan.x=[1, 2]", "--set", "a=", ""};
  const std::string line = shell_command(7, words);
  CHECK(line == "build/vitrine-try 'it'\\''s here/a b.toml' --set 'plan.x=[1, 2]' --set a= ''");
  const testing::CommandResult back = testing::run("printf '%s|' " + line);
  CHECK(back.output == "build/vitrine-try|it's here/a b.toml|--set|plan.x=[1, 2]|--set|a=||");
}

TEST_CASE("a valid command line is parsed without an exit code") {
  Plain plain;
  CHECK_FALSE(plain.parse({"a.toml", "--count", "3"}).has_value());
  CHECK(plain.file == "a.toml");
  CHECK(plain.count == 3);
  Several several;
  CHECK_FALSE(several.parse({"look", "--far", "4"}).has_value());
  CHECK(several.count == 4);
}

TEST_CASE("--help and --version are answered on standard output") {
  const Output output;
  CHECK(Plain().parse({"--version"}) == 0);
  CHECK(output.text().starts_with("Vitrine "));
  CHECK(has(output.text(), "."));
  CHECK(Plain().parse({"--help"}) == 0);
  CHECK(has(output.text(), "--count"));
  CHECK(Several().parse({"listen", "--help"}) == 0);
}

TEST_CASE("--help-keys takes a word or none, and needs nothing else") {
  const auto asked = [](std::vector<const char*> words) {
    Plain plain;
    std::string word = "not asked";
    plain.line.add_help_keys([&word](const std::string& given) {
      word = given;
      return std::string("keys\n");
    });
    const Output output;
    CHECK(plain.parse(std::move(words)) == 0);
    CHECK(output.text() == "keys\n");
    return word;
  };
  CHECK(asked({"--help-keys"}) == "");
  CHECK(asked({"--help-keys", "lr"}) == "lr");
  CHECK(asked({"a.toml", "--help-keys=lr"}) == "lr");
}

TEST_CASE("lists are given once per value or separated by commas, and leave positional arguments alone") {
  Program program;
  std::vector<std::string> files, words;
  std::vector<int> numbers{7};
  program.line.add_option("FILE", files);
  program.line.add_option("--word", words).repeatable();
  const auto sizes = program.line.add_option("--sizes", numbers).comma_separated().range(1, 9);
  CHECK_FALSE(program.parse({"--sizes", "1,2", "--word", "a,b", "--word", "c", "x", "y"}).has_value());
  CHECK(words == std::vector<std::string>{"a,b", "c"});
  CHECK(numbers == std::vector<int>{1, 2});
  CHECK(files == std::vector<std::string>{"x", "y"});
  CHECK(sizes.given());
  CHECK(program.line.given("--sizes"));
  CHECK(sizes.name() == "--sizes");
}

TEST_CASE("an option that needs or excludes another says so") {
  const auto tried = [](std::vector<const char*> words) {
    Program program;
    bool first = false, second = false, third = false;
    const auto one = program.line.add_flag("--first", first);
    program.line.add_flag("--second", second).needs(one);
    program.line.add_flag("--third", third).excludes(one);
    return message_of([&] { program.parse(std::move(words)); });
  };
  CHECK(has(tried({"--second"}), "--second requires --first"));
  CHECK(has(tried({"--third", "--first"}), "excludes"));
}

TEST_CASE("every program and every subcommand takes the options of the screen") {
  const Screen before = chosen_screen();
  CHECK_FALSE(Plain().parse({"x", "--quiet"}));
  CHECK(chosen_screen() == Screen::kQuiet);
  CHECK_FALSE(Several().parse({"look", "--log-format", "json"}));
  CHECK(chosen_screen() == Screen::kJson);
  CHECK_FALSE(Several().parse({"listen", "--log-format", "text"}));
  CHECK(chosen_screen() == Screen::kText);
  CHECK(has(message_of([] { Plain().parse({"x", "--log-format", "xml"}); }), "--log-format"));
  CHECK(has(message_of([] { Plain().parse({"x", "--quiet", "--log-format", "json"}); }), "excludes"));
  choose_screen(before);
}

TEST_CASE("an invalid command line gives one sentence that refers to --help") {
  CHECK(has(message_of([] { Plain().parse({}); }), "FILE is required; --help shows the usage"));
  CHECK(has(message_of([] { Plain().parse({"a", "--count", "12"}); }), "--count"));
  CHECK(has(message_of([] { Plain().parse({"a", "--sing"}); }), "--sing"));
  CHECK(message_of([] { Several().parse({"sing"}); }) ==
        "unknown subcommand \"sing\"; expected one of look, listen, --help says what they do");
  CHECK(has(message_of([] { Several().parse({}); }), "expected one of look, listen"));
  CHECK(has(message_of([] { Several().parse({"--sing"}); }), "expected one of look, listen"));
  CHECK(has(message_of([] { Several().parse({"look", "--near", "2"}); }), "--near"));
}

TEST_CASE("numbers with bounds are finite") {
  const auto tried = [](const char* option, const char* word) {
    Program program;
    double share = 0, hours = 0;
    program.line.add_option("--share", share).range(0.0, 1.0);
    program.line.add_option("--hours", hours).positive();
    return message_of([&] { program.parse({option, word}); });
  };
  for (const char* word : {"0.5", "1", "1e-3"}) {
    CAPTURE(word);
    CHECK(tried("--share", word).empty());
    CHECK(tried("--hours", word).empty());
  }
  for (const char* word : {"nan", "NaN", "inf"}) {
    CAPTURE(word);
    CHECK(has(tried("--share", word), "--share"));
    CHECK(has(tried("--hours", word), std::string(word) + " is not a number above 0"));
  }
  CHECK(has(tried("--hours", "infinity"), "is not a number above 0"));
  CHECK(has(tried("--share", "nan"), "nan is not a number from 0 to 1"));
}

TEST_CASE("an unknown option is answered with the one that is meant, whatever else is wrong") {
  const auto plain = [](std::vector<const char*> words) {
    return message_of([&] { Plain().parse(std::move(words)); });
  };
  CHECK(plain({"a", "--cuont", "3"}) == "unknown option --cuont; did you mean --count?");
  CHECK(plain({"--counts=3"}) == "unknown option --counts; did you mean --count?");  // FILE is missing, too
  CHECK(plain({"a", "-count"}) == "unknown option -count; did you mean --count?");
  CHECK(plain({"a", "--sing"}) == "unknown option --sing; --help lists them");
  CHECK(has(plain({"a", "-3"}), "-3; --help shows the usage"));
  const auto several = [](std::vector<const char*> words) {
    return message_of([&] { Several().parse(std::move(words)); });
  };
  CHECK(several({"look", "--farr", "3"}) == "unknown option --farr; did you mean --far?");
  CHECK(several({"listen", "--farr", "3"}) == "unknown option --farr; --help lists them");
  CHECK(several({"--versoin"}) == "unknown option --versoin; did you mean --version?");
  CHECK(several({"lok"}) == "unknown subcommand \"lok\"; did you mean look?");
}

}  // namespace
}  // namespace vitrine
