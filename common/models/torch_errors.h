// What LibTorch throws, as Errors that a user can act on. LibTorch's own sentences carry a C++ backtrace and know
// nothing of configurations.
#ifndef VITRINE_COMMON_MODELS_TORCH_ERRORS_H_
#define VITRINE_COMMON_MODELS_TORCH_ERRORS_H_

#include <string>

namespace vitrine {

/// The keys that help, as they are called in the program that computes: "teacher.micro_batch". Empty ones are left out.
struct ComputeAdvice {
  std::string what;    ///< what is computed, the sentence's beginning: "the teacher's forward"
  std::string memory;  ///< when memory runs out: "lower teacher.micro_batch"
  std::string shapes;  ///< when tensors do not fit: "check teacher.vit"
};

/// Throws the Error that stands for the exception in flight: call it in a catch block only. Memory, of a card or of the
/// machine, that ran out: kMemory. A card that failed: kIo. Any other c10::Error (tensors that do not fit together, an
/// operation that does not exist there): kInput. An Error, and every other exception, goes on as it is. No backtrace.
[[noreturn]] void rethrow_torch_error(const ComputeAdvice& advice);

/// Returns call(), whose exceptions of LibTorch become Errors. On a card, errors of what was queued before may surface
/// in any later call: wrap what copies results back as well.
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
