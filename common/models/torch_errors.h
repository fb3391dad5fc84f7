// Converts LibTorch's exceptions to Errors that a user can act on. LibTorch's messages contain a C++ backtrace and do
// not mention configuration keys.
#ifndef VITRINE_COMMON_MODELS_TORCH_ERRORS_H_
#define VITRINE_COMMON_MODELS_TORCH_ERRORS_H_

#include <string>

namespace vitrine {

/// Advice for the message, naming the program's configuration keys ("teacher.micro_batch"). Empty fields are omitted.
struct ComputeAdvice {
  std::string what;    ///< what is computed, the start of the message: "the teacher's forward"
  std::string memory;  ///< if memory runs out: "lower teacher.micro_batch"
  std::string shapes;  ///< if shapes do not match: "check teacher.image_size"
};

/// Converts the exception in flight to an Error and throws it; call only in a catch block. Out of memory, on the GPU or
/// the host: kMemory. A GPU failure: kIo. Any other c10::Error (mismatched shapes, an unsupported operation): kInput.
/// Error and all other exceptions are rethrown unchanged. No backtrace.
[[noreturn]] void rethrow_torch_error(const ComputeAdvice& advice);

/// Returns call(), converting LibTorch's exceptions. GPU errors are asynchronous and may surface in a later call, so
/// also wrap the copy of results to the host.
template <class Call>
decltype(auto) with_torch_errors(const ComputeAdvice& advice, Call&& call) {
  try {
    return call();
  } catch (...) {
    rethrow_torch_error(advice);
  }
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_TORCH_ERRORS_H_
