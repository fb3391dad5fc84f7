#include "tools/commands/pilot/rank.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace vitrine {

double Share::value() const {
  return of > 0 ? static_cast<double>(right) / static_cast<double>(of) : 0;
}

double Share::standard_error() const {
  return of > 0 ? std::sqrt(value() * (1 - value()) / static_cast<double>(of)) : 0;
}

Share right_share(const StudentAnswers& answers) {
  Share out;
  for (const auto& [id, right] : answers) ++out.of, out.right += right ? 1 : 0;
  return out;
}

double PairedAnswers::lead() const {
  if (pictures == 0) return 0;
  return (static_cast<double>(only_first) - static_cast<double>(only_second)) / static_cast<double>(pictures);
}

double PairedAnswers::standard_error() const {
  if (pictures == 0) return 0;
  const auto all = static_cast<double>(pictures), differ = static_cast<double>(only_first + only_second);
  return std::sqrt(std::max(0.0, differ - lead() * lead() * all)) / all;
}

double PairedAnswers::p() const {
  const std::uint64_t all = only_first + only_second, fewer = std::min(only_first, only_second);
  const auto n = static_cast<double>(all);
  double tail = 0;  // of a fair coin, thrown once for each picture on which they differ
  for (std::uint64_t i = 0; i <= fewer; ++i) {
    const auto k = static_cast<double>(i);
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) - n * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

PairedAnswers paired(const StudentAnswers& first, const StudentAnswers& second) {
  PairedAnswers out;
  for (const auto& [id, right] : first) {
    const auto other = second.find(id);
    if (other == second.end()) continue;
    ++out.pictures;
    out.only_first += right && !other->second ? 1 : 0;
    out.only_second += !right && other->second ? 1 : 0;
  }
  return out;
}

}  // namespace vitrine
