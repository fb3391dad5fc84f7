// What other programs take of the processors while this one measures.
#ifndef VITRINE_COMMON_BASE_PROCESSOR_LOAD_H_
#define VITRINE_COMMON_BASE_PROCESSOR_LOAD_H_

#include <chrono>
#include <string>
#include <vector>

namespace vitrine {

/// Watches, from its construction on, the processors that this process may use.
class OtherPrograms {
 public:
  OtherPrograms();
  /// Share of those processors' time since then that other programs took, in [0, 1]; a child counts as another until it
  /// has ended and was waited for. 0 where /proc/stat does not tell.
  double share() const;

 private:
  std::vector<int> processors_;
  std::chrono::steady_clock::time_point start_;
  double busy_ = 0, own_ = 0;  // seconds, at the start
};

/// "uncertain: other programs took 43 % of the processors meanwhile" for a share that changes what is measured, else
/// empty.
std::string uncertain_words(double share);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_PROCESSOR_LOAD_H_
