// fuzz_replay TARGET PATH...: feeds the target the files named, and all files below the directories named, in the order
// of their paths; of any compiler. A fault ends it by a signal, with the file's name as the last line.
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "tests/fuzz/target.h"

namespace vitrine::testing {
namespace {

// A function's, since targets in other files make themselves known before main().
std::map<std::string, FuzzTarget>& fuzz_targets() {
  static std::map<std::string, FuzzTarget> targets;
  return targets;
}

void add_files(const std::filesystem::path& path, std::vector<std::filesystem::path>& files) {
  if (!directory_exists(path)) {
    files.push_back(path);
    return;
  }
  for (const DirectoryEntry& entry : list_directory(path)) add_files(path / entry.name, files);
}

int replay(const std::string& name, const std::vector<std::string>& paths) {
  const auto found = fuzz_targets().find(name);
  if (found == fuzz_targets().end()) {
    std::string known;
    for (const auto& [one, target] : fuzz_targets()) known += (known.empty() ? "" : ", ") + one;
    fail("there is no target ", name, "; expected one of ", known);
  }
  std::vector<std::filesystem::path> files;
  for (const std::string& path : paths) add_files(path, files);
  if (files.empty()) fail("no inputs: name files or directories that have some");
  for (const std::filesystem::path& file : files) {
    std::cout << file.string() << std::endl;  // flushed, since what follows may abort
    const std::string bytes = read_file(file);
    found->second(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  std::cout << files.size() << " inputs\n";
  return 0;
}

}  // namespace

FuzzTargetName::FuzzTargetName(const char* name, FuzzTarget target) {
  fuzz_targets()[name] = target;
}

}  // namespace vitrine::testing

int main(int count, char** words) {
  return vitrine::guarded_main("fuzz_replay", [&] {
    if (count < 2) vitrine::fail("usage: fuzz_replay TARGET FILE|DIRECTORY...");
    return vitrine::testing::replay(words[1], {words + 2, words + count});
  });
}
