// Compares two caches' files byte for byte.
#ifndef VITRINE_TESTS_EXTRACT_EQUAL_FILES_H_
#define VITRINE_TESTS_EXTRACT_EQUAL_FILES_H_

#include <map>
#include <string>

#include "tests/support/testing.h"

namespace vitrine::testing {

/// `a`, `b`: as returned by ExtractFixture::files(); at least one file.
inline void check_equal(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
  REQUIRE(!a.empty());
  REQUIRE(a.size() == b.size());
  for (const auto& [name, bytes] : a) {
    CAPTURE(name);
    REQUIRE(b.contains(name));
    CHECK((b.at(name) == bytes));
  }
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_EXTRACT_EQUAL_FILES_H_
