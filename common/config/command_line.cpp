#include "common/config/command_line.h"

#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/lines.h"
#include "common/base/screen.h"

namespace vitrine {

std::optional<int> parse_command_line(CLI::App& app, int argc, const char* const* argv) {
  app.set_version_flag("--version", "Vitrine " VITRINE_VERSION);
  std::string subcommands;
  for (const CLI::App* one : app.get_subcommands(nullptr))
    subcommands += (subcommands.empty() ? "" : ", ") + one->get_name();
  if (!subcommands.empty()) app.require_subcommand(1);
  // CLI11 would keep the word after --help-keys for a positional that is required.
  std::vector<std::string> words(argv, argv + argc);
  for (std::size_t i = 1; i + 1 < words.size(); ++i)
    if (words[i] == "--help-keys" && !words[i + 1].starts_with('-')) {
      words[i] += "=" + words[i + 1];
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  try {
    app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    if (subcommands.empty() || !app.get_subcommands().empty()) fail(error.what(), "; --help shows the usage");
    const std::string first = argc > 1 ? argv[1] : "";
    const bool is_word = !first.empty() && first[0] != '-';
    fail(is_word ? "unknown subcommand \"" + first + "\"" : std::string(error.what()), "; expected one of ",
         subcommands, ", --help says what they do");
  }
  return std::nullopt;
}

void add_help_keys(CLI::App& app, const std::function<std::string(const std::string& word)>& table) {
  app.add_option_function<std::vector<std::string>>(
         "--help-keys",
         [table](const std::vector<std::string>& words) {
           std::string keys = table(words.empty() ? std::string() : words.front());
           if (keys.ends_with('\n')) keys.pop_back();
           throw CLI::CallForVersion(keys, CLI::ExitCodes::Success);  // prints and exits
         },
         "print the keys of CONFIG.toml with defaults, ranges and meanings; with WORD, only those that mention it")
      ->type_name("[WORD]")
      ->expected(0, 1);
}

void add_screen_options(CLI::App& app) {
  auto* quiet = app.add_flag_callback(
      "--quiet", [] { choose_screen(Screen::kQuiet); }, "no progress and no notes on standard error, only warnings");
  app.add_option_function<std::string>(
         "--log-format",
         [](const std::string& format) { choose_screen(format == "json" ? Screen::kJson : Screen::kText); },
         "of notes, progress and errors on standard error: text, or json (an object a line)")
      ->check(CLI::IsMember({"text", "json"}))
      ->excludes(quiet);
}

std::string shell_command(int argc, const char* const* argv) {
  static constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  std::string out;
  for (int i = 0; i < argc; ++i) {
    const std::string argument = argv[i];
    if (i > 0) out += ' ';
    if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) {
      out += argument;
      continue;
    }
    out += '\'';
    for (const char c : argument) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    out += '\'';
  }
  return out;
}

bool take_allowed(std::vector<std::string>& allow, const std::string& word) {
  bool found = false;
  for (std::string& list : allow) {
    std::string others;
    for (const std::string& one : comma_separated(list)) {
      found = found || one == word;
      if (one != word) others += (others.empty() ? "" : ",") + one;
    }
    list = others;
  }
  std::erase(allow, "");
  return found;
}

}  // namespace vitrine
