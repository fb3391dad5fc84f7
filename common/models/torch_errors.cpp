#include "common/models/torch_errors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <string_view>

#include "common/base/error.h"

namespace vitrine {
namespace {

// LibTorch has no exception types for these; they are c10::Errors whose message contains one of these strings.
constexpr std::array kMemoryWords{"DefaultCPUAllocator", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED",
                                  "CUDA out of memory", "out of memory"};
constexpr std::array kCardWords{"CUDA error",   "CUDNN_STATUS_", "cuDNN error", "CUBLAS_STATUS_",
                                "cuBLAS error", "NCCL error",    "cudaError"};

template <std::size_t N>
bool has_any(std::string_view message, const std::array<const char*, N>& words) {
  return std::ranges::any_of(words, [&](const char* word) { return message.find(word) != std::string_view::npos; });
}

/// The first line of LibTorch's message, without the full stop; the other lines are for developers (source locations,
/// environment variables).
std::string first_line(const char* message) {
  std::string_view line(message);
  line = line.substr(0, line.find('\n'));
  // "[enforce fail at alloc_cpu.cpp:119] data. DefaultCPUAllocator: ..."
  if (const std::size_t own = line.find("DefaultCPUAllocator: "); own != std::string_view::npos)
    line.remove_prefix(own);
  while (!line.empty() && (line.back() == '.' || line.back() == ' ')) line.remove_suffix(1);
  return std::string(line);
}

[[noreturn]] void rethrow(const ComputeAdvice& advice, const c10::Error& error) {
  const std::string_view message = error.what_without_backtrace();
  const std::string reason = first_line(error.what_without_backtrace());
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr || has_any(message, kMemoryWords)) {
    const bool host = message.find("DefaultCPUAllocator") != std::string_view::npos;
    throw Error(ErrorKind::kMemory, {.what = text(advice.what, " does not fit into the memory of ",
                                                  host ? "this machine" : "the GPU", " (", reason, ")"),
                                     .remedy = advice.memory});
  }
  if (dynamic_cast<const c10::AcceleratorError*>(&error) != nullptr || has_any(message, kCardWords))
    throw Error(ErrorKind::kIo, {.what = text("the GPU failed in ", advice.what, " (", reason, ")"),
                                 .remedy = "run again; if it fails again, check the GPU's errors with nvidia-smi -q "
                                           "and in the kernel's log (dmesg)"});
  if (message.find("does not have a deterministic implementation") != std::string_view::npos)
    throw Error(ErrorKind::kInput,
                {.what = text(advice.what, " has no deterministic implementation on a GPU (", reason, ")"),
                 .remedy = "set deterministic = false, or disable that part"});
  throw Error(ErrorKind::kInput, {.what = text(advice.what, " cannot be computed: ", reason), .remedy = advice.shapes});
}

}  // namespace

void rethrow_torch_error(const ComputeAdvice& advice) {
  try {
    throw;
  } catch (const c10::Error& error) {
    rethrow(advice, error);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::kMemory,
                {.what = text(advice.what, " does not fit into the memory of this machine"), .remedy = advice.memory});
  }
}

}  // namespace vitrine
