// Numbers as messages and tables show them. What rounds to zero has no sign: "0.00", never "-0.00".
#ifndef VITRINE_COMMON_BASE_DIGITS_H_
#define VITRINE_COMMON_BASE_DIGITS_H_

#include <cstdio>
#include <string>

namespace vitrine {

/// With this many digits behind the point: "3.10".
inline std::string decimals(double value, int count) {
  char buffer[400];  // of the largest double
  std::snprintf(buffer, sizeof buffer, "%.*f", count, value);
  std::string out = buffer;
  if (out.starts_with('-') && out.find_first_not_of("-0.") == std::string::npos) out.erase(0, 1);
  return out;
}

/// With at most this many significant digits: "0.00123", "1.2e-09".
inline std::string significant(double value, int count) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*g", count, value == 0 ? 0.0 : value);
  return buffer;
}

/// "48.5 %" for 0.485: at most three significant digits.
inline std::string percent_words(double share) {
  return significant(100 * share, 3) + " %";
}
/// The same with this many digits behind the point, for what is compared in a column: "50.0 %".
inline std::string percent_words(double share, int count) {
  return decimals(100 * share, count) + " %";
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_DIGITS_H_
