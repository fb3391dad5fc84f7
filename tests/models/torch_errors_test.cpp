#include <ATen/ATen.h>

#include "common/models/torch_errors.h"

#include <new>
#include <stdexcept>

#include "common/base/error.h"
#include "common/models/resnet.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;

namespace {

const ComputeAdvice kAdvice{"the step", "lower micro_batch", "check size"};

struct Told {
  ErrorKind kind = ErrorKind::kInternal;
  std::string sentence;
};

/// What becomes of what `call` throws.
template <class Call>
Told told(const Call& call) {
  try {
    with_torch_errors(kAdvice, call);
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  FAIL("nothing was thrown");
  return {};
}

/// One sentence for a user: one line, no place in LibTorch's source.
void check_sentence(const std::string& sentence) {
  CAPTURE(sentence);
  CHECK_FALSE(has(sentence, "\n"));
  CHECK_FALSE(has(sentence, "frame #"));
  CHECK_FALSE(has(sentence, "Exception raised from"));
  CHECK_FALSE(has(sentence, ".cpp:"));
}

}  // namespace

TEST_CASE("a result passes through, by value or by reference") {
  int value = 3;
  CHECK(with_torch_errors(kAdvice, [&] { return value; }) == 3);
  CHECK(&with_torch_errors(kAdvice, [&]() -> int& { return value; }) == &value);
}

TEST_CASE("memory of the machine that runs out is named with the key that helps") {
  const Told allocation = told([] { return at::empty({std::int64_t{1} << 50}); });
  CHECK((allocation.kind == ErrorKind::kMemory));
  CHECK(has(allocation.sentence, "the step does not fit into the memory of this machine"));
  CHECK(has(allocation.sentence, "; lower micro_batch"));
  check_sentence(allocation.sentence);
  CHECK((told([] { throw std::bad_alloc(); }).kind == ErrorKind::kMemory));
}

TEST_CASE("a card out of memory and a card that fails are different errors") {
  const Told full = told([] {
    C10_THROW_ERROR(OutOfMemoryError,
                    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1 GiB.");
  });
  CHECK((full.kind == ErrorKind::kMemory));
  CHECK(has(full.sentence, "does not fit into the memory of the GPU (CUDA out of memory. Tried to allocate 2.00 GiB"));
  check_sentence(full.sentence);
  const Told cublas =
      told([] { TORCH_CHECK(false, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"); });
  CHECK((cublas.kind == ErrorKind::kMemory));

  const Told failed = told([] {
    throw c10::AcceleratorError(
        {"launch", "kernel.cpp", 3}, 700,
        "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be ...");
  });
  CHECK((failed.kind == ErrorKind::kIo));
  CHECK(has(failed.sentence, "the GPU failed in the step (CUDA error: an illegal memory access was encountered)"));
  CHECK(has(failed.sentence, "nvidia-smi"));
  check_sentence(failed.sentence);
  CHECK((told([] { TORCH_CHECK(false, "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"); }).kind == ErrorKind::kIo));
}

TEST_CASE("a batch too small for BatchNorm is one sentence, only in training") {
  ResNet resnet("resnet18", 3, 8);
  const auto forward = [&] { return resnet->forward(at::zeros({1, 3, 32, 32})).logits; };
  const Told one_value = told(forward);
  CHECK((one_value.kind == ErrorKind::kInput));
  CHECK(has(one_value.sentence, "the step cannot be computed: Expected more than 1 value per channel"));
  CHECK(has(one_value.sentence, "; check size"));
  check_sentence(one_value.sentence);
  resnet->eval();
  CHECK(with_torch_errors(kAdvice, forward).size(0) == 1);
}

TEST_CASE("shapes that do not fit, and what has no deterministic form") {
  const Told shapes = told([] { return at::matmul(at::zeros({2, 3}), at::zeros({4, 5})); });
  CHECK((shapes.kind == ErrorKind::kInput));
  CHECK(has(shapes.sentence, "2x3 and 4x5"));
  check_sentence(shapes.sentence);
  const Told order =
      told([] { TORCH_CHECK(false, "x_cuda does not have a deterministic implementation, but you set"); });
  CHECK(has(order.sentence, "deterministic = false"));
}

TEST_CASE("Errors and other exceptions go on as they are") {
  CHECK_THROWS_WITH_AS(with_torch_errors(kAdvice, [] { fail("a sentence"); }), "a sentence", Error);
  CHECK_THROWS_AS(with_torch_errors(kAdvice, [] { throw std::logic_error("a fault"); }), std::logic_error);
}
