// Errors that a user can act on. Programming mistakes are asserts or std::logic_error; everything that comes from
// outside (configuration, files, images, weights, caches, the disk) is an Error: a kind, which decides the exit code
// and what a program may do about it, and fields, which say what is wrong, where, and what to do.
#ifndef VITRINE_COMMON_BASE_ERROR_H_
#define VITRINE_COMMON_BASE_ERROR_H_

#include <cstdint>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vitrine {

/// What went wrong, as far as a program may act on it. Only kCorrupt says that bytes were read and are wrong.
enum class ErrorKind : std::uint8_t {
  kInput,     ///< what was asked does not fit: a key, a path that does not exist, a file of another kind
  kIo,        ///< the system refused or failed to open, read or write; the same call may succeed later
  kCorrupt,   ///< bytes were read and are not what was written
  kNewer,     ///< written in a format that this version does not know
  kMemory,    ///< memory (of the machine or of a card) or file handles ran out; no file is to blame
  kInternal,  ///< a fault of Vitrine's own
};

/// A program's exit code: 2, 3, 4, 5, 6 in the order above, 70 (EX_SOFTWARE) for kInternal. 1 is left to commands whose
/// answer is "no", such as `vitrine-cache verify`.
int exit_code(ErrorKind kind);
/// The kind of a failed system call: kInput where the path itself is wrong (ENOENT, ENOTDIR, EISDIR, ELOOP,
/// ENAMETOOLONG), kMemory for what the machine ran out of (ENOMEM, ENOBUFS, EMFILE, ENFILE), else kIo.
ErrorKind kind_of_errno(int code);
/// The kind of an exception in flight that is not an Error: kMemory for std::bad_alloc, kIo or kInput for a
/// std::filesystem::filesystem_error, else kInternal.
ErrorKind kind_of(const std::exception& exception);

/// The fields of an Error. Empty fields are left out of the sentence.
struct Problem {
  std::string path = {};     ///< the file or directory
  std::string dataset = {};  ///< of a container
  std::int64_t group = -1;   ///< of a dataset, counted from the file's first group; -1: not a matter of one group
  std::string what = {};     ///< what is wrong and what was expected; no full stop
  std::string remedy = {};   ///< what to do; no full stop
};

class Error : public std::runtime_error {
 public:
  /// kInput; the whole sentence is Problem::what.
  explicit Error(const std::string& what) : Error(ErrorKind::kInput, Problem{.what = what}) {}
  /// The sentence is "PATH: dataset D, group G: what; remedy".
  Error(ErrorKind kind, Problem problem);

  ErrorKind kind() const { return kind_; }
  const Problem& problem() const { return problem_; }
  /// The same error with the place where it was met: path, dataset and group are taken from `place` where they are
  /// empty.
  Error at(const Problem& place) const;

 private:
  ErrorKind kind_;
  Problem problem_;
};

/// The arguments, streamed one after the other.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws an Error of kind kInput, whose sentence is the arguments, streamed one after the other.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(text(parts...));
}

/// Throws the Error of a failed system call: "PATH: what (reason); remedy". A kMemory `code` has a remedy of its own.
[[noreturn]] void fail_system(int code, const std::string& path, std::string_view what, std::string_view remedy = {});

/// Runs a command's body. Returns its exit code. An Error becomes one line "PROGRAM: sentence" on standard error and
/// its kind's exit code; exhausted memory and errors of std::filesystem are told in the same way; any other exception
/// becomes a line that asks for a report, and 70.
int guarded_main(const char* program, const std::function<int()>& body);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_ERROR_H_
