// For tests that need what a machine may not have.
#ifndef VITRINE_TESTS_SUPPORT_SKIP_H_
#define VITRINE_TESTS_SUPPORT_SKIP_H_

#include <string>

namespace vitrine::testing {

/// Says why the test case cannot prove anything here; return from it after this. A program of which nothing failed then
/// exits with 77, which ctest shows as skipped, not as passed. The other cases run all the same.
void skip(const std::string& reason);

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_SUPPORT_SKIP_H_
