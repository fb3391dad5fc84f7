// Errors that a user can act on. Programming mistakes are asserts or std::logic_error; everything that comes from
// outside (configuration, files, images, weights, caches) is an Error whose text is one full sentence: what is wrong,
// in which file or key, what was expected, what to do.
#ifndef VITRINE_COMMON_BASE_ERROR_H_
#define VITRINE_COMMON_BASE_ERROR_H_

#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>

namespace vitrine {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The arguments, streamed one after the other.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws an Error made of the arguments, streamed one after the other.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(text(parts...));
}

/// Runs a command's body. Returns its exit code; an Error becomes one line "PROGRAM: sentence" on standard error and
/// exit code 2, any other exception a line that asks for a report and exit code 70 (EX_SOFTWARE).
int guarded_main(const char* program, const std::function<int()>& body);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_ERROR_H_
