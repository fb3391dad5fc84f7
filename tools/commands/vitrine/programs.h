// The programs behind `vitrine NAME`.
#ifndef VITRINE_TOOLS_COMMANDS_VITRINE_PROGRAMS_H_
#define VITRINE_TOOLS_COMMANDS_VITRINE_PROGRAMS_H_

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace vitrine {

struct ProgramName {
  const char* name;     ///< "train": `vitrine train` is the program vitrine-train
  const char* summary;  ///< one line for --help
};

/// In the order of the work.
std::span<const ProgramName> programs();

/// The path of vitrine-NAME in `directory`. Throws Error for an unknown name (with the nearest known one), and for a
/// program that is not there.
std::filesystem::path program_path(const std::filesystem::path& directory, const std::string& name);

/// What the user would type before a command's arguments: "bin/vitrine-train" where `own`, this program's argv[0], is
/// "bin/vitrine".
std::string shown_name(const std::string& own, const std::string& name);

/// A command line as exec takes it: `shown` (argv[0]), the arguments and a null. Not copied: the pointers are into its
/// own words.
class ExecArguments {
 public:
  ExecArguments(const std::string& shown, const std::vector<std::string>& arguments);
  ExecArguments(const ExecArguments&) = delete;
  ExecArguments& operator=(const ExecArguments&) = delete;
  char* const* argv() const { return pointers_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

/// Replaces this process by `program`. `arguments`: those after its name. `shown`: its argv[0], which it repeats in
/// messages. Throws Error if that fails; does not return otherwise.
[[noreturn]] void replace_process(const std::filesystem::path& program, const std::string& shown,
                                  const std::vector<std::string>& arguments);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_VITRINE_PROGRAMS_H_
