// vitrine: the front door. `vitrine NAME ...` runs the program vitrine-NAME beside it.
#include <cstdio>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/paths.h"
#include "tools/commands/vitrine/completion.h"
#include "tools/commands/vitrine/programs.h"

namespace {

using namespace vitrine;

void print_help() {
  std::printf("vitrine COMMAND [ARGUMENTS]\n\nDistils Vision Transformers into ResNets.\n\n");
  for (const ProgramName& program : programs()) std::printf("  %-10s %s\n", program.name, program.summary);
  std::printf(
      "\nvitrine COMMAND --help explains each; the same programs are also called vitrine-COMMAND.\n"
      "Completion: source <(vitrine completion bash), or completion zsh.\n");
}

}  // namespace

int main(int argc, char** argv) {
  return guarded_main("vitrine", [&]() -> int {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.empty() || words[0] == "--help" || words[0] == "-h" || (words[0] == "help" && words.size() == 1)) {
      print_help();
      return words.empty() ? 2 : 0;
    }
    if (words[0] == "--version") {
      std::printf("vitrine %s\n", VITRINE_VERSION);
      return 0;
    }
    if (words[0] == "completion") {
      if (words.size() != 2) fail("vitrine completion needs the shell: bash or zsh");
      std::fputs(completion_script(words[1]).c_str(), stdout);
      return 0;
    }
    const std::vector<std::string> rest(words.begin() + 1, words.end());
    if (words[0] == "complete") {
      for (const std::string& word : completions(own_directory(), rest)) std::puts(word.c_str());
      return 0;
    }
    if (words[0] == "help")
      replace_process(program_path(own_directory(), words[1]), shown_name(argv[0], words[1]), {"--help"});
    replace_process(program_path(own_directory(), words[0]), shown_name(argv[0], words[0]), rest);
  });
}
