// guarded_main() of error.h, apart from it: only programs need it, and JSON.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "common/base/error.h"
#include "common/base/screen.h"
#include "common/base/stop.h"

namespace vitrine {
namespace {

// Prints what ends the program, as the screen was chosen; returns `code`.
int tell_end(const char* program, int code, const std::string& sentence, const Problem* problem = nullptr) {
  if (chosen_screen() != Screen::kJson) {
    std::fprintf(stderr, "%s: %s\n", program, sentence.c_str());
    return code;
  }
  nlohmann::ordered_json line = {{"type", code == kStoppedExitCode ? "stopped" : "error"},
                                 {"program", program},
                                 {"exit_code", code},
                                 {"text", sentence}};
  if (problem != nullptr) {
    const auto put = [&line](const char* key, const std::string& words) {
      if (!words.empty()) line[key] = words;
    };
    put("path", problem->path);
    put("dataset", problem->dataset);
    if (problem->group >= 0) line["group"] = problem->group;
    put("what", problem->what);
    put("remedy", problem->remedy);
  }
  std::fprintf(stderr, "%s\n", line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  return code;
}

// Without one, relative paths lead nowhere and MKL ends the process when it looks for its libraries.
void check_current_directory() {
  std::error_code failure;
  static_cast<void>(std::filesystem::current_path(failure));
  if (failure) fail_system(failure.value(), "the current directory", "cannot be found", "change to one that exists");
}

}  // namespace

int guarded_main(const char* program, const std::function<int()>& body) {
  try {
    check_current_directory();
    return body();
  } catch (const Error& error) {
    return tell_end(program, exit_code(error.kind()), error.what(), &error.problem());
  } catch (const Stopped& stopped) {
    return tell_end(program, kStoppedExitCode, stopped.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return tell_end(program, exit_code(kind_of(error)),
                    text(error.path1().string(), ": ", error.code().message(), "; check the path and its permissions"));
  } catch (const std::bad_alloc&) {
    return tell_end(program, exit_code(ErrorKind::kMemory),
                    "memory ran out; use fewer workers, or a machine with more memory");
  } catch (const std::exception& error) {
    return tell_end(program, exit_code(ErrorKind::kInternal),
                    text("internal error, please report it with the command line: ", error.what()));
  }
}

}  // namespace vitrine
