#include "tools/commands/vitrine/programs.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/config/config.h"

namespace vitrine {

std::span<const ProgramName> programs() {
  static constexpr std::array<ProgramName, 11> kPrograms = {{
      {"distil", "from a folder of photos and a teacher to a trained student, in one command"},
      {"pilot", "try teachers before a long extraction: rank them by what small students learn"},
      {"extract", "run the teacher once over augmented images and keep its outputs in a cache"},
      {"train", "train a student from a cache, a live teacher or labels; evaluate one"},
      {"choose", "measure students on this machine, train those that can pay, take the best under a latency"},
      {"cache", "inspect, verify, repair and recode caches; estimate their cost"},
      {"report", "one page about one run, or about several, side by side"},
      {"export", "a student as safetensors, pth, ONNX or TorchScript"},
      {"classify", "name what is in pictures"},
      {"bench", "measure the codec, reading, teachers, inference and planning"},
      {"draw", "draw a small data set to try things on"},
  }};
  return kPrograms;
}

std::filesystem::path program_path(const std::filesystem::path& directory, const std::string& name) {
  std::vector<std::string> known;
  for (const ProgramName& program : programs()) known.emplace_back(program.name);
  if (std::ranges::find(known, name) == known.end()) {
    const std::string near = nearest_word(name, known);
    fail("vitrine ", name, ": no such command", near.empty() ? "" : text(", did you mean ", near, "?"),
         "; vitrine --help lists them");
  }
  std::filesystem::path path = directory / ("vitrine-" + name);
  if (!file_exists(path))
    throw Error(ErrorKind::kInput, {.path = path.string(),
                                    .what = "is missing",
                                    .remedy = "build all programs (tools/build.sh), or install them together"});
  return path;
}

std::string shown_name(const std::string& own, const std::string& name) {
  const std::size_t slash = own.rfind('/');
  return (slash == std::string::npos ? "" : own.substr(0, slash + 1)) + "vitrine-" + name;
}

ExecArguments::ExecArguments(const std::string& shown, const std::vector<std::string>& arguments) : words_{shown} {
  words_.insert(words_.end(), arguments.begin(), arguments.end());
  for (std::string& word : words_) pointers_.push_back(word.data());
  pointers_.push_back(nullptr);
}

void replace_process(const std::filesystem::path& program, const std::string& shown,
                     const std::vector<std::string>& arguments) {
  const ExecArguments line(shown, arguments);
  execv(program.c_str(), line.argv());
  fail_system(errno, program.string(), "cannot be started", "check that it may be executed");
}

}  // namespace vitrine
