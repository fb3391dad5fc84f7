// FUZZ_TARGET(NAME) { ... } in NAME.cpp is a target: what is done with `size` bytes at `data`; it returns 0. A fuzzing
// build makes it libFuzzer's entry point of a program, other builds one of fuzz_replay's targets.
#ifndef VITRINE_TESTS_FUZZ_TARGET_H_
#define VITRINE_TESTS_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>

namespace vitrine::testing {

using FuzzTarget = int (*)(const std::uint8_t* data, std::size_t size);

/// Makes a target known to fuzz_replay (replay.cpp).
struct FuzzTargetName {
  FuzzTargetName(const char* name, FuzzTarget target);
};

}  // namespace vitrine::testing

#ifdef VITRINE_FUZZ
#define FUZZ_TARGET(name) extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
#else
#define FUZZ_TARGET(name)                                                            \
  static int fuzz_##name(const std::uint8_t* data, std::size_t size);                \
  static const vitrine::testing::FuzzTargetName name_of_##name(#name, &fuzz_##name); \
  static int fuzz_##name(const std::uint8_t* data, std::size_t size)
#endif

#endif  // VITRINE_TESTS_FUZZ_TARGET_H_
