#include "tests/support/skip.h"

#include "tests/support/testing.h"

TEST_CASE("what this machine lacks") {
  vitrine::testing::skip("nothing is missing; the program shows how it would be told");
}

TEST_CASE("what it has") {
  CHECK(true);
}
