// doctest for tests, and for tests that see torch: include this after torch's headers, never before, since c10 defines
// CHECK as well and the later definition wins.
#ifndef VITRINE_TESTS_SUPPORT_TESTING_H_
#define VITRINE_TESTS_SUPPORT_TESTING_H_

#ifdef CHECK
#undef CHECK
#endif
#include <doctest/doctest.h>

#include "tests/support/files.h"

#endif  // VITRINE_TESTS_SUPPORT_TESTING_H_
