// For tests that need something a machine may lack.
#ifndef VITRINE_TESTS_SUPPORT_SKIP_H_
#define VITRINE_TESTS_SUPPORT_SKIP_H_

#include <string>

namespace vitrine::testing {

/// States why the test case cannot run; return from it after this call. If nothing failed, the program then exits with
/// 77, which ctest shows as skipped. Other cases still run.
void skip(const std::string& reason);

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_SUPPORT_SKIP_H_
