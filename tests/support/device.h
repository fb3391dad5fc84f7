// The device that tests compute on: the CPU, or that of VITRINE_TEST_DEVICE.
#ifndef VITRINE_TESTS_SUPPORT_DEVICE_H_
#define VITRINE_TESTS_SUPPORT_DEVICE_H_

#include <cstdlib>
#include <string>

#include "tests/support/skip.h"

namespace vitrine::testing {

/// "cpu", or the value of VITRINE_TEST_DEVICE: "cuda" or "cuda:1".
inline std::string test_device() {
  const char* name = std::getenv("VITRINE_TEST_DEVICE");
  return name == nullptr || *name == 0 ? "cpu" : name;
}

inline bool on_gpu() {
  return test_device() != "cpu";
}

/// For test cases that need a GPU: if VITRINE_TEST_DEVICE names none, calls skip() (skip.h) and returns false; return
/// from the case then. If it names one that cannot be used, the test fails later, as it should.
inline bool gpu_or_skip() {
  if (on_gpu()) return true;
  skip("needs a GPU: set VITRINE_TEST_DEVICE=cuda");
  return false;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_SUPPORT_DEVICE_H_
