#include "common/base/error.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <utility>

namespace vitrine {
namespace {

std::string sentence(const Problem& problem) {
  std::string out = problem.path.empty() ? "" : problem.path + ": ";
  if (!problem.dataset.empty()) out += "dataset " + problem.dataset + (problem.group < 0 ? ": " : ", ");
  if (problem.group >= 0) out += "group " + std::to_string(problem.group) + ": ";
  out += problem.what;
  return problem.remedy.empty() ? out : out + "; " + problem.remedy;
}

// The remedy for an exhausted resource, whichever call failed; nullptr for other codes.
const char* remedy_of_errno(int code) {
  switch (code) {
    case EMFILE:
      return "raise the limit on open files (ulimit -n) or use fewer workers, then run again";
    case ENFILE:
      return "the machine has too many files open: end other programs, then run again";
    case ENOMEM:
    case ENOBUFS:
      return "end other programs or use fewer workers, then run again";
    default:
      return nullptr;
  }
}

}  // namespace

int exit_code(ErrorKind kind) {
  return kind == ErrorKind::kInternal ? 70 : 2 + static_cast<int>(kind);
}

ErrorKind kind_of_errno(int code) {
  switch (code) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return ErrorKind::kInput;
    case ENOMEM:
    case ENOBUFS:
    case EMFILE:
    case ENFILE:
      return ErrorKind::kMemory;
    default:
      return ErrorKind::kIo;
  }
}

ErrorKind kind_of(const std::exception& exception) {
  if (const auto* error = dynamic_cast<const Error*>(&exception)) return error->kind();
  if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr) return ErrorKind::kMemory;
  if (const auto* error = dynamic_cast<const std::filesystem::filesystem_error*>(&exception))
    return kind_of_errno(error->code().value());
  return ErrorKind::kInternal;
}

Error::Error(ErrorKind kind, Problem problem)
    : std::runtime_error(sentence(problem)), kind_(kind), problem_(std::move(problem)) {}

Error Error::at(const Problem& place) const {
  Problem located = problem_;
  if (located.path.empty()) located.path = place.path;
  if (located.dataset.empty()) located.dataset = place.dataset;
  if (located.group < 0) located.group = place.group;
  return {kind_, std::move(located)};
}

void fail_system(int code, const std::string& path, std::string_view what, std::string_view remedy) {
  const char* own = remedy_of_errno(code);
  throw Error(kind_of_errno(code), {.path = path.empty() ? "\"\"" : path,  // so that the message shows an empty path
                                    .what = text(what, " (", std::strerror(code), ")"),
                                    .remedy = std::string(own != nullptr ? own : remedy)});
}

}  // namespace vitrine
