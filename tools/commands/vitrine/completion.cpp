#include "tools/commands/vitrine/completion.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <memory>
#include <sstream>

#include "common/base/error.h"
#include "common/base/files.h"
#include "tools/commands/vitrine/programs.h"

namespace vitrine {
namespace {

// Options are offered once a dash is typed, so that files are where they may stand.
constexpr const char* kBash = R"sh(_vitrine() {
  local IFS=$'\n' word=${COMP_WORDS[COMP_CWORD]} hidden=()
  [[ $word == -* ]] || hidden=(-X '-*')
  mapfile -t COMPREPLY < <(compgen "${hidden[@]}" -W "$("${COMP_WORDS[0]}" complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "$word")
}
complete -o default -F _vitrine vitrine
)sh";

// As a file of $fpath it is the body of _vitrine, which the first Tab runs; sourced, it only defines.
// clang-format off
constexpr const char* kZsh = R"sh(#compdef vitrine
_vitrine() {
  local -a found
  found=(${(f)"$("${words[1]}" complete "${(@)words[2,CURRENT-1]}" 2>/dev/null)"})
  local -a keys=(${(M)found:#*=})
  found=(${found:#*=})
  compadd -a found
  compadd -S '' -a keys
  _files
}
if [[ "${funcstack[1]}" == _vitrine ]]; then
  _vitrine "$@"
else
  compdef _vitrine vitrine
fi
)sh";
// clang-format on

// The standard output of a program that is run without a shell's interpretation of its arguments.
std::string output_of(const std::filesystem::path& program, const std::vector<std::string>& arguments) {
  std::string line = "'" + program.string() + "'";
  for (const std::string& word : arguments) line += " '" + word + "'";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((line + " 2>/dev/null").c_str(), "r"), pclose);
  if (!pipe) fail(program.string(), ": cannot be started");
  std::string out;
  char buffer[4096];
  while (const std::size_t read = std::fread(buffer, 1, sizeof buffer, pipe.get())) out.append(buffer, read);
  return out;
}

// Words that a shell passes on unchanged; others cannot name a subcommand.
bool is_plain(const std::string& word) {
  return !word.empty() && std::ranges::all_of(word, [](unsigned char c) { return std::isalnum(c) || c == '-'; });
}

}  // namespace

std::string completion_script(const std::string& shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  fail("no completion for ", shell, "; expected bash or zsh");
}

std::vector<std::string> words_of_help(const std::string& page) {
  std::vector<std::string> out;
  std::istringstream lines(page);
  std::string line, section;
  while (std::getline(lines, line)) {
    if (!line.empty() && line[0] != ' ') section = line;
    std::istringstream words(line);
    std::string word;
    if (line.size() < 3 || line[0] != ' ' || line[1] != ' ' || line[2] == ' ' || !(words >> word)) continue;
    if (section == "Subcommands:") out.push_back(word);
    if (section != "Options:") continue;
    const std::size_t option = word.find("--");  // "--json", "-h,--help"
    if (option != std::string::npos) out.push_back(word.substr(option, word.find(',', option) - option));
  }
  return out;
}

std::vector<std::string> keys_of_help(const std::string& table) {
  std::vector<std::string> out;
  std::istringstream lines(table);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string key, sign;
    if (line.starts_with("  ") && words >> key >> sign && sign == "=") out.push_back(key + "=");
  }
  return out;
}

std::vector<std::string> completions(const std::filesystem::path& directory, const std::vector<std::string>& words) {
  std::vector<std::string> out;
  if (words.empty() || words == std::vector<std::string>{"help"}) {
    for (const ProgramName& program : programs()) out.emplace_back(program.name);
    if (words.empty()) out.insert(out.end(), {"help", "completion", "--help", "--version"});
    return out;
  }
  if (words[0] == "completion") return {"bash", "zsh"};
  if (!std::ranges::any_of(programs(), [&](const ProgramName& one) { return words[0] == one.name; })) return out;
  const std::filesystem::path program = program_path(directory, words[0]);
  if (words.back() == "--set") return keys_of_help(output_of(program, {"--help-keys"}));
  out = words_of_help(output_of(program, {"--help"}));
  const bool has_subcommands = std::ranges::any_of(out, [](const std::string& word) { return word[0] != '-'; });
  if (has_subcommands && words.size() > 1 && is_plain(words[1]) && std::ranges::find(out, words[1]) != out.end())
    return words_of_help(output_of(program, {words[1], "--help"}));
  return out;
}

}  // namespace vitrine
