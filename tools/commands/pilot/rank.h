// How far the students of a pilot can be told apart: pure functions.
#ifndef VITRINE_TOOLS_COMMANDS_PILOT_RANK_H_
#define VITRINE_TOOLS_COMMANDS_PILOT_RANK_H_

#include <cstdint>
#include <map>
#include <string>

namespace vitrine {

/// Whether a student is right, by the picture's id.
using StudentAnswers = std::map<std::string, bool>;

struct Share {
  std::uint64_t right = 0, of = 0;
  double value() const;           ///< in [0, 1]; 0 of none
  double standard_error() const;  ///< of a binomial share
};
Share right_share(const StudentAnswers& answers);

/// Two students on the pictures that both answered.
struct PairedAnswers {
  std::uint64_t pictures = 0, only_first = 0, only_second = 0;  ///< that one is right on and the other is not

  double lead() const;            ///< of the first, as a share of the pictures
  double standard_error() const;  ///< of the lead
  /// McNemar's exact test, two-sided: how probable such a lead, or a larger one of either, is for equal students.
  double p() const;
  bool told_apart() const { return p() < 0.05; }
};
PairedAnswers paired(const StudentAnswers& first, const StudentAnswers& second);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_PILOT_RANK_H_
