#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/support/skip.h"

namespace {

constexpr int kNoCase = 2;
constexpr int kSkipped = 77;  // SKIP_RETURN_CODE of tools/cmake/rooms.cmake
bool skipped = false;

/// Whether the tests should run on a GPU but the machine has no driver's device (NVIDIA's, or through WSL).
bool lacks_gpu() {
  const char* device = std::getenv("VITRINE_TEST_DEVICE");
  return device != nullptr && std::string_view(device).starts_with("cuda") && access("/dev/nvidiactl", F_OK) != 0 &&
         access("/dev/dxg", F_OK) != 0;
}

bool no_case = false;

/// Notes whether a filter left no case to run, which doctest takes for success.
struct CaseCount : doctest::IReporter {
  explicit CaseCount(const doctest::ContextOptions&) {}
  void test_run_end(const doctest::TestRunStats& stats) override { no_case = stats.numTestCasesPassingFilters == 0; }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("case_count", 1, CaseCount);

}  // namespace

void vitrine::testing::skip(const std::string& reason) {
  skipped = true;
  MESSAGE("skipped: " << reason);
}

int main(int argc, char** argv) {
  if (lacks_gpu()) {
    std::puts("skipped: VITRINE_TEST_DEVICE asks for a GPU, and this machine has none");
    return kSkipped;
  }
  doctest::Context context(argc, argv);
  const int result = context.run();
  if (no_case) {
    std::puts("no test case matches the filters");
    return kNoCase;
  }
  return result == 0 && skipped ? kSkipped : result;
}
