// Messages of errors and programs, for tests.
#ifndef VITRINE_TESTS_SUPPORT_MESSAGE_H_
#define VITRINE_TESTS_SUPPORT_MESSAGE_H_

#include <string>
#include <string_view>

#include "common/base/error.h"

namespace vitrine::testing {

/// The message of the vitrine::Error that `call` throws; empty if it does not throw. Other exceptions propagate.
template <class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

inline bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_SUPPORT_MESSAGE_H_
