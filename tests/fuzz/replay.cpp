// Feeds a target the files named, and all files below the directories named, in the order of their paths: the target as
// a plain program, of any compiler. A fault ends it by a signal, with the file's name as the last line.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace vitrine;

void add_files(const std::filesystem::path& path, std::vector<std::filesystem::path>& files) {
  if (!directory_exists(path)) {
    files.push_back(path);
    return;
  }
  for (const DirectoryEntry& entry : list_directory(path)) add_files(path / entry.name, files);
}

}  // namespace

int main(int count, char** words) {
  return guarded_main("replay", [&] {
    std::vector<std::filesystem::path> files;
    for (int i = 1; i < count; ++i) add_files(words[i], files);
    if (files.empty()) fail("no inputs: name files or directories that have some");
    for (const std::filesystem::path& file : files) {
      std::cout << file.string() << std::endl;  // flushed, since what follows may abort
      const std::string bytes = read_file(file);
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    }
    std::cout << files.size() << " inputs\n";
    return 0;
  });
}
