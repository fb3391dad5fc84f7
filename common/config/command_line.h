// Command-line conventions shared by Vitrine's programs. CLI11 parses; its headers, which cost seconds in each file
// that includes them, stay in command_line.cpp.
#ifndef VITRINE_COMMON_CONFIG_COMMAND_LINE_H_
#define VITRINE_COMMON_CONFIG_COMMAND_LINE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace vitrine {

/// The arguments, options and subcommands of a program. Variables that are given to it must outlive parse(), which
/// fills them. For one thread.
class CommandLine {
 public:
  /// A handle to an option or positional argument; valid as long as its CommandLine.
  class Option {
   public:
    explicit Option(CLI::Option* option) : option_(option) {}
    /// Without it parse() throws.
    Option required();
    /// Values from `min` to `max`, both included; each of several.
    Option range(int min, int max);
    Option range(unsigned min, unsigned max);
    Option range(std::int64_t min, std::int64_t max);
    Option range(std::uint64_t min, std::uint64_t max);
    Option range(double min, double max);
    Option positive();
    Option one_of(const std::vector<std::string>& words);
    Option one_of(const std::vector<int>& numbers);
    Option existing_file();
    Option existing_directory();
    /// Several values: the option is given once for each.
    Option repeatable();
    /// Several values: separated by commas, or the option is given again.
    Option comma_separated();
    Option needs(Option other);
    Option excludes(Option other);
    /// What --help shows as the value, in place of its C++ type.
    Option type_name(const std::string& name);
    /// --help shows the variable's present value.
    Option show_default();
    /// After parse(): whether it was on the command line.
    bool given() const;
    /// As in messages: "--size", or a positional's name.
    std::string name() const;

   private:
    CLI::Option* option_;
  };

  /// `name`: of the program in --help; empty: as it was called.
  explicit CommandLine(const std::string& description, const std::string& name = "");
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// `names` is "--long", "-s,--long", or the name of a positional argument; a vector takes several values. T is one of
  /// the types instantiated in command_line.cpp.
  template <class T>
  Option add_option(const std::string& names, T& value, const std::string& description = "");
  Option add_flag(const std::string& names, bool& value, const std::string& description = "");
  /// If there is one subcommand or more, one must be given. The reference is valid as long as this object.
  CommandLine& add_subcommand(const std::string& name, const std::string& description = "");
  /// Called by parse() when this subcommand was chosen and all is valid.
  void callback(const std::function<void()>& chosen);
  /// The last paragraph of --help.
  void footer(const std::string& text);
  /// Adds `--help-keys [WORD]`, which prints `table(word)` (see config_help) and exits like --help.
  void add_help_keys(const std::function<std::string(const std::string& word)>& table);
  /// Adds --dry-run. `description`: what it does instead of writing, without "nothing is written".
  Option add_dry_run(bool& value, const std::string& description = "check everything and say what would be written");

  /// After parse(): whether the option of this name ("--size") was on the command line.
  bool given(const std::string& name) const;

  /// Adds --version, and to a program or each of its subcommands --quiet and --log-format, which choose how notes and
  /// progress appear (screen.h); then parses. Returns the exit code after --help or --version, which print to standard
  /// output, else nullopt. Throws Error for an invalid command line: first for an unknown option, with the one that may
  /// be meant.
  std::optional<int> parse(int argc, const char* const* argv);

 private:
  explicit CommandLine(CLI::App& app);
  void add_screen_options();

  std::unique_ptr<CLI::App> own_;  // null in a subcommand
  CLI::App& app_;
  std::list<std::unique_ptr<CommandLine>> subcommands_;
};

/// What the programs' exit codes mean (exit_code(), kStoppedExitCode), for --help; README.md has the same words.
inline constexpr const char* kExitCodeWords =
    "Exit codes: 0 all is well, 1 damage or a difference was found, 2 bad input, 3 the system refused to read or\n"
    "write, 4 a needed file is damaged, 5 written by a newer version, 6 out of memory or file handles, 70 a fault of\n"
    "the program, 130 stopped.";

/// A line of a dry run on standard output: "would write PATH: WHAT". `what` may be empty.
void print_would_write(const std::filesystem::path& path, const std::string& what = {});

/// The command line as it would be typed; arguments that need it are quoted for the shell.
std::string shell_command(int argc, const char* const* argv);

/// Whether `word` is in the lists of words that a repeatable --allow gave; it is removed from them, and empty lists
/// too.
bool take_allowed(std::vector<std::string>& allow, const std::string& word);

/// Throws Error, with the words that are known, for a word that take_allowed() left there.
void refuse_other_words(const std::vector<std::string>& allow, const std::vector<std::string>& known);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CONFIG_COMMAND_LINE_H_
