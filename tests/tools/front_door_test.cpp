// `vitrine`: it starts the programs beside it, and completes their words.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "common/base/error.h"
#include "common/config/command_line.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tools/commands/vitrine/completion.h"
#include "tools/commands/vitrine/programs.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::ranges::find(words, word) != words.end();
}

std::filesystem::path programs_here() {
  return std::filesystem::path(executable("vitrine")).parent_path();
}

}  // namespace

TEST_CASE("vitrine: every command of its help is a program beside it, and gives its own help") {
  const CommandResult help = run(executable("vitrine") + " --help");
  CHECK(help.exit_code == 0);
  for (const ProgramName& program : programs()) {
    CAPTURE(program.name);
    CHECK(has(help.output, std::string("  ") + program.name + " "));
    const CommandResult through = run(executable("vitrine") + " " + program.name + " --help");
    CHECK(through.exit_code == 0);
    CHECK(through.output == run(executable(std::string("vitrine-") + program.name) + " --help").output);
    CHECK(run(executable("vitrine") + " help " + program.name).output == through.output);
  }
}

TEST_CASE("vitrine: arguments and exit codes pass unchanged") {
  const CommandResult bad = run(executable("vitrine") + " cache info '/no where/$HOME'");
  CHECK(bad.exit_code == 2);
  CHECK(has(bad.output, "/no where/$HOME"));
}

TEST_CASE("exit codes have the same words in README.md and in the programs' help") {
  const auto on_one_line = [](const std::string& words) {
    std::istringstream in(words);
    std::string out;
    for (std::string word; in >> word;) out += (out.empty() ? "" : " ") + word;
    return out;
  };
  const std::string words = on_one_line(kExitCodeWords);
  CHECK(words.ends_with(" 70 a fault of the program, 130 stopped."));
  const std::filesystem::path readme = std::filesystem::path(std::getenv("VITRINE_SOURCE")) / "README.md";
  CHECK(has(on_one_line(read_whole(readme)), words));
  for (const char* program : {"vitrine-cache", "vitrine-extract", "vitrine-train"}) {
    CAPTURE(program);
    CHECK(has(on_one_line(run(executable(program) + " --help").output), words));
  }
  // The help of a command names what is its own, in these words, and where the others are.
  for (const char* command : {"info", "verify", "repair", "show", "recode", "estimate", "pack", "unpack", "card"}) {
    const std::string help = on_one_line(run(executable("vitrine-cache") + " " + command + " --help").output);
    CAPTURE(help);
    CHECK(help.ends_with("; others as vitrine-cache --help says."));
    const std::string own = help.substr(help.rfind("Exit codes: "));
    if (own.find(", 4 ") != std::string::npos) CHECK(has(own, ", 4 a needed file is damaged"));
  }
}

TEST_CASE("vitrine: an unknown command is answered with the nearest") {
  const CommandResult result = run(executable("vitrine") + " trian x");
  CHECK(result.exit_code == 2);
  CHECK(has(result.output, "trian: no such command, did you mean train?"));
  CHECK(run(executable("vitrine")).exit_code == 2);
}

TEST_CASE("vitrine: completion knows commands, subcommands, options and keys") {
  const auto here = programs_here();
  CHECK(has(completions(here, {}), "distil"));
  CHECK(has(completions(here, {"cache"}), "verify"));
  CHECK(has(completions(here, {"cache", "verify"}), "--deep"));
  CHECK_FALSE(has(completions(here, {"cache", "verify"}), "repair"));
  CHECK(has(completions(here, {"train"}), "--evaluate"));
  CHECK(has(completions(here, {"train"}), "--help"));
  CHECK(has(completions(here, {"train", "--set"}), "targets.cache="));
  CHECK(has(completions(here, {"extract", "c.toml", "--set"}), "teacher.weights="));
  CHECK(completions(here, {"nonsense"}).empty());
  CHECK(completions(here, {"completion"}) == std::vector<std::string>{"bash", "zsh"});
}

TEST_CASE("vitrine: bash completes with the script") {
  const std::string completes = "export PATH='" + programs_here().string() +
                                "':$PATH; source <(vitrine completion bash); " +
                                "complete_line() { COMP_WORDS=(\"$@\"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
                                "_vitrine; printf '%s\\n' \"${COMPREPLY[@]}\"; }; ";
  const auto reply = [&](const std::string& words) {
    return run("bash -c '" +
               [&] {
                 std::string quoted;
                 for (const char c : completes + "complete_line " + words)
                   quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
                 return quoted;
               }() +
               "'")
        .output;
  };
  CHECK(reply("vitrine di") == "distil\n");
  CHECK(reply("vitrine cache rec") == "recode\n");
  CHECK(reply("vitrine distil --st") == "--student\n--student-weights\n");
  CHECK(reply("vitrine distil \"\"") == "\n");  // bash then offers files
  CHECK(has(reply("vitrine cache \"\""), "recode\n"));
  CHECK(has(reply("vitrine train --set targets.cac"), "targets.cache="));
}

TEST_CASE("vitrine: the words that zsh's script offers") {
  REQUIRE_MESSAGE(run("command -v zsh").exit_code == 0, "zsh is missing; tools/packages.txt lists it");
  const TemporaryDirectory folder;
  write_whole(folder / "_vitrine", completion_script("zsh"));
  // In place of zsh's own functions, which work while it completes only.
  write_whole(folder / "offers.zsh", R"sh(
compdef() { }
compadd() { print -rl -- "${(@P)@[-1]}" }
_files() { print files }
source "${0:h}/_vitrine"
words=("$@" "") CURRENT=$#words
_vitrine
)sh");
  const auto offered = [&](const std::string& words) {
    return run("zsh -f '" + (folder / "offers.zsh").string() + "' '" + executable("vitrine") + "' " + words).output;
  };
  CHECK(has(offered("cache"), "recode\n"));
  CHECK(has(offered("cache verify"), "--deep\n"));
  CHECK(has(offered("train --set"), "batch_norm_batches=\n"));
  CHECK(has(offered("classify"), "files\n"));
}

TEST_CASE("vitrine: zsh completes with the script, sourced or from a folder of functions") {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) {
    MESSAGE("this machine has no pseudo terminals, so nothing is typed; the case before tries the script");
    return;
  }
  close(terminal);
  const TemporaryDirectory folder;
  write_whole(folder / "functions/_vitrine", completion_script("zsh"));
  // A shell on a terminal of its own: the words are typed, with Tab, and Control-X writes the line that came of them.
  write_whole(folder / "shell.zsh", R"sh(
zmodload zsh/zpty
cd "${0:h}"
if [[ $1 == sourced ]]; then
  setup="autoload -Uz compinit; compinit -u -D; source functions/_vitrine"
else
  setup="fpath=(\$PWD/functions \$fpath); autoload -Uz compinit; compinit -u -D"
fi
zpty shell zsh -f -i
zpty -w shell "path=('$2' \$path); $setup; told() { print -r -- \"<\$BUFFER>\" >told; BUFFER=exit; zle accept-line }; zle -N told; bindkey '^X' told"
zpty -w -n shell "$3"$'\t\C-x'
while zpty -r shell line; do :; done
cat told
)sh");
  const auto completed = [&](const std::string& way, const std::string& words) {
    return run("timeout 100 zsh -f '" + (folder / "shell.zsh").string() + "' " + way + " '" + programs_here().string() +
               "' '" + words + "'")
        .output;
  };
  for (const char* way : {"sourced", "autoloaded"}) {
    CAPTURE(way);
    CHECK(completed(way, "vitrine cache rec") == "<vitrine cache recode >\n");
  }
  CHECK(completed("sourced", "vitrine cache verify --dee") == "<vitrine cache verify --deep >\n");
  CHECK(completed("sourced", "vitrine train --set batch_norm_b") == "<vitrine train --set batch_norm_batches=>\n");
}

TEST_CASE("vitrine: completion for a shell that it does not know") {
  CHECK_THROWS_WITH_AS(completion_script("fish"), doctest::Contains("expected bash or zsh"), Error);
  CHECK(run(executable("vitrine") + " completion zsh").output.starts_with("#compdef vitrine"));
}
