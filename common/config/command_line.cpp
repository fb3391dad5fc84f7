#include "common/config/command_line.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/lines.h"
#include "common/base/screen.h"
#include "common/base/shell.h"
#include "common/config/config.h"

namespace vitrine {
namespace {

// "--size" of "--size=3"; empty if the word is no option, as a negative number.
std::string option_in(const std::string& word) {
  const std::size_t first = word.find_first_not_of('-');
  if (first == 0 || first > 2 || first == std::string::npos || !std::isalpha(static_cast<unsigned char>(word[first])))
    return {};
  return word.substr(0, word.find('='));
}

// The option of `app` that is spelt most like `option`; empty if none is near.
std::string option_like(const CLI::App& app, const std::string& option) {
  std::vector<std::string> known;
  for (const CLI::Option* one : app.get_options())
    known.insert(known.end(), one->get_lnames().begin(), one->get_lnames().end());
  const std::string near = nearest_word(option.substr(option.find_first_not_of('-')), known);
  return near.empty() ? near : "--" + near;
}

// Throws Error for an option that neither the command nor its chosen subcommand has.
void refuse_unknown_option(const CLI::App& app) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  std::vector<const CLI::App*> commands{&app};
  commands.insert(commands.end(), chosen.begin(), chosen.end());
  const bool lacks_subcommand = chosen.empty() && !app.get_subcommands(nullptr).empty();
  for (const CLI::App* command : commands)
    for (const std::string& word : command->remaining()) {
      const std::string option = option_in(word);
      const std::string near = option.empty() ? "" : option_like(*command, option);
      if (!near.empty()) fail("unknown option ", option, "; did you mean ", near, "?");
      if (!option.empty() && !lacks_subcommand) fail("unknown option ", option, "; --help lists them");
    }
}

}  // namespace

using Option = CommandLine::Option;

Option Option::required() {
  return Option(option_->required());
}
Option Option::range(int min, int max) {
  return Option(option_->check(CLI::Range(min, max)));
}
Option Option::range(unsigned min, unsigned max) {
  return Option(option_->check(CLI::Range(min, max)));
}
Option Option::range(std::int64_t min, std::int64_t max) {
  return Option(option_->check(CLI::Range(min, max)));
}
Option Option::range(std::uint64_t min, std::uint64_t max) {
  return Option(option_->check(CLI::Range(min, max)));
}
Option Option::range(double min, double max) {
  const auto refusal = [min, max](const std::string& word) {  // CLI::Range accepts NaN
    const bool is_nan = std::isnan(std::strtod(word.c_str(), nullptr));
    return is_nan ? text(word, " is not a number from ", min, " to ", max) : std::string();
  };
  return Option(option_->check(CLI::Range(min, max))->check(refusal));
}
Option Option::positive() {
  const auto refusal = [](const std::string& word) {
    double value = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool is_number = read.ec == std::errc() && read.ptr == word.data() + word.size();
    return is_number && value > 0 && std::isfinite(value) ? std::string() : word + " is not a number above 0";
  };
  return Option(option_->check(refusal, "POSITIVE"));
}
Option Option::one_of(const std::vector<std::string>& words) {
  return Option(option_->check(CLI::IsMember(words)));
}
Option Option::one_of(const std::vector<int>& numbers) {
  return Option(option_->check(CLI::IsMember(numbers)));
}
Option Option::existing_file() {
  return Option(option_->check(CLI::ExistingFile));
}
Option Option::existing_directory() {
  return Option(option_->check(CLI::ExistingDirectory));
}
Option Option::repeatable() {
  return Option(option_->expected(1)->take_all()->allow_extra_args(false));
}
Option Option::comma_separated() {
  return Option(option_->delimiter(',')->allow_extra_args(false));
}
Option Option::needs(Option other) {
  return Option(option_->needs(other.option_));
}
Option Option::excludes(Option other) {
  return Option(option_->excludes(other.option_));
}
Option Option::type_name(const std::string& name) {
  return Option(option_->type_name(name));
}
Option Option::show_default() {
  return Option(option_->capture_default_str());
}
bool Option::given() const {
  return option_->count() > 0;
}
std::string Option::name() const {
  return option_->get_name();
}

CommandLine::CommandLine(const std::string& description, const std::string& name)
    : own_(std::make_unique<CLI::App>(description, name)), app_(*own_) {}

CommandLine::CommandLine(CLI::App& app) : app_(app) {}

CommandLine::~CommandLine() = default;

template <class T>
Option CommandLine::add_option(const std::string& names, T& value, const std::string& description) {
  return Option(app_.add_option(names, value, description));
}
template Option CommandLine::add_option(const std::string&, std::string&, const std::string&);
template Option CommandLine::add_option(const std::string&, std::filesystem::path&, const std::string&);
template Option CommandLine::add_option(const std::string&, bool&, const std::string&);
template Option CommandLine::add_option(const std::string&, int&, const std::string&);
template Option CommandLine::add_option(const std::string&, unsigned&, const std::string&);
template Option CommandLine::add_option(const std::string&, std::int64_t&, const std::string&);
template Option CommandLine::add_option(const std::string&, std::uint64_t&, const std::string&);
template Option CommandLine::add_option(const std::string&, float&, const std::string&);
template Option CommandLine::add_option(const std::string&, double&, const std::string&);
template Option CommandLine::add_option(const std::string&, std::vector<std::string>&, const std::string&);
template Option CommandLine::add_option(const std::string&, std::vector<int>&, const std::string&);
template Option CommandLine::add_option(const std::string&, std::vector<unsigned>&, const std::string&);
template Option CommandLine::add_option(const std::string&, std::vector<std::int64_t>&, const std::string&);
template Option CommandLine::add_option(const std::string&, std::vector<std::uint64_t>&, const std::string&);
template Option CommandLine::add_option(const std::string&, std::vector<float>&, const std::string&);
template Option CommandLine::add_option(const std::string&, std::vector<double>&, const std::string&);

Option CommandLine::add_flag(const std::string& names, bool& value, const std::string& description) {
  return Option(app_.add_flag(names, value, description));
}

CommandLine& CommandLine::add_subcommand(const std::string& name, const std::string& description) {
  subcommands_.emplace_back(new CommandLine(*app_.add_subcommand(name, description)));
  return *subcommands_.back();
}

void CommandLine::callback(const std::function<void()>& chosen) {
  app_.callback(chosen);
}

void CommandLine::footer(const std::string& text) {
  app_.footer(text);
}

bool CommandLine::given(const std::string& name) const {
  return app_.count(name) > 0;
}

std::optional<int> CommandLine::parse(int argc, const char* const* argv) {
  add_screen_options();
  app_.set_version_flag("--version", "Vitrine " VITRINE_VERSION);
  std::vector<std::string> names;
  std::string subcommands;
  for (const CLI::App* one : app_.get_subcommands(nullptr)) {
    names.push_back(one->get_name());
    subcommands += (subcommands.empty() ? "" : ", ") + one->get_name();
  }
  if (!subcommands.empty()) app_.require_subcommand(1);
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
    app_.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app_.exit(error);
    refuse_unknown_option(app_);  // first: what else is wrong often follows from it
    if (subcommands.empty() || !app_.get_subcommands().empty()) fail(error.what(), "; --help shows the usage");
    const std::string first = argc > 1 ? argv[1] : "";
    const bool is_word = !first.empty() && first[0] != '-';
    const std::string near = is_word ? nearest_word(first, names) : "";
    if (!near.empty()) fail("unknown subcommand \"", first, "\"; did you mean ", near, "?");
    fail(is_word ? "unknown subcommand \"" + first + "\"" : std::string(error.what()), "; expected one of ",
         subcommands, ", --help says what they do");
  }
  return std::nullopt;
}

void CommandLine::add_help_keys(const std::function<std::string(const std::string& word)>& table) {
  app_.add_option_function<std::vector<std::string>>(
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

Option CommandLine::add_dry_run(bool& value, const std::string& description) {
  return add_flag("--dry-run", value, description + "; nothing is written");
}

void CommandLine::add_screen_options() {
  for (const std::unique_ptr<CommandLine>& one : subcommands_) one->add_screen_options();
  if (!subcommands_.empty()) return;
  auto* quiet = app_.add_flag_callback(
      "--quiet", [] { choose_screen(Screen::kQuiet); }, "no progress and no notes on standard error, only warnings");
  app_.add_option_function<std::string>(
          "--log-format",
          [](const std::string& format) { choose_screen(format == "json" ? Screen::kJson : Screen::kText); },
          "of notes, progress and errors on standard error: text, or json (an object a line)")
      ->check(CLI::IsMember({"text", "json"}))
      ->excludes(quiet);
}

void print_would_write(const std::filesystem::path& path, const std::string& what) {
  std::printf("would write %s%s%s\n", path.c_str(), what.empty() ? "" : ": ", what.c_str());
}

std::string shell_command(int argc, const char* const* argv) {
  std::string out;
  for (int i = 0; i < argc; ++i) out += (i > 0 ? " " : "") + shell_word(argv[i]);
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

void refuse_other_words(const std::vector<std::string>& allow, const std::vector<std::string>& known) {
  std::string words;
  for (const std::string& word : known) words += (words.empty() ? "" : ", ") + word;
  for (const std::string& list : allow)
    for (const std::string& word : comma_separated(list))
      fail("--allow: \"", word, "\" is not known; expected one of ", words);
}

}  // namespace vitrine
