// Errors that a user can act on. Programming mistakes are asserts or std::logic_error. Failures caused by input
// (configuration, files, images, weights, caches, the disk) are an Error: its kind determines the exit code and how a
// program may react; its fields say what is wrong, where, and what to do.
#ifndef VITRINE_COMMON_BASE_ERROR_H_
#define VITRINE_COMMON_BASE_ERROR_H_

#include <cstdint>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vitrine {

/// Category of a failure. Only kCorrupt means that bytes were read and are wrong.
enum class ErrorKind : std::uint8_t {
  kInput,     ///< bad request: an invalid key, a path that does not exist, a file of the wrong type
  kIo,        ///< open, read or write failed; retrying may succeed
  kCorrupt,   ///< bytes were read and differ from what was written
  kNewer,     ///< written in a format newer than this version supports
  kMemory,    ///< out of memory (host or GPU) or file handles; no file is at fault
  kInternal,  ///< a bug in Vitrine
};

/// Program exit code: 2, 3, 4, 5, 6 in the order above, 70 (EX_SOFTWARE) for kInternal. 1 is reserved for commands that
/// answer "no", such as `vitrine-cache verify`.
int exit_code(ErrorKind kind);
/// Kind of a failed system call: kInput if the path itself is wrong (ENOENT, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG),
/// kMemory if a resource is exhausted (ENOMEM, ENOBUFS, EMFILE, ENFILE), else kIo.
ErrorKind kind_of_errno(int code);
/// Kind of a caught exception that is not an Error: kMemory for std::bad_alloc, kIo or kInput for a
/// std::filesystem::filesystem_error, else kInternal.
ErrorKind kind_of(const std::exception& exception);

/// The fields of an Error. Empty fields are omitted from the message.
struct Problem {
  std::string path = {};     ///< the file or directory
  std::string dataset = {};  ///< of a container
  std::int64_t group = -1;   ///< within the dataset, counted from the file's first group; -1: not specific to a group
  std::string what = {};     ///< what is wrong and what was expected; no full stop
  std::string remedy = {};   ///< what to do; no full stop
};

class Error : public std::runtime_error {
 public:
  /// kInput; `what` is the whole message.
  explicit Error(const std::string& what) : Error(ErrorKind::kInput, Problem{.what = what}) {}
  /// The message is "PATH: dataset D, group G: what; remedy".
  Error(ErrorKind kind, Problem problem);

  ErrorKind kind() const { return kind_; }
  const Problem& problem() const { return problem_; }
  /// A copy of this error in which empty path, dataset and group are filled in from `place`.
  Error at(const Problem& place) const;

 private:
  ErrorKind kind_;
  Problem problem_;
};

/// Streams the arguments one after the other.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws an Error of kind kInput whose message is text(parts...).
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(text(parts...));
}

/// Throws the Error of a failed system call: "PATH: what (reason); remedy". A `code` of kind kMemory has its own
/// remedy.
[[noreturn]] void fail_system(int code, const std::string& path, std::string_view what, std::string_view remedy = {});

/// Runs a command's body and returns its exit code. An Error is printed as one line "PROGRAM: message" on standard
/// error and returns its kind's exit code; std::bad_alloc and std::filesystem errors are handled the same way. Any
/// other exception prints a request to report it and returns 70. A current directory that was removed is such an
/// Error, before `body` is called.
int guarded_main(const char* program, const std::function<int()>& body);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_ERROR_H_
