// The codec error recorded in shards (FORMAT.md, "loss"), summarised over a track.
#ifndef VITRINE_TOOLS_INSPECT_LOSS_SUMMARY_H_
#define VITRINE_TOOLS_INSPECT_LOSS_SUMMARY_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace vitrine {

/// Combines the losses of shards: numbers whose name begins with "worst" by their maximum, others by their mean over
/// groups; strings are the first shard's.
class LossSummary {
 public:
  void add(const nlohmann::ordered_json& loss, std::uint64_t groups);
  /// One object; empty if nothing was added.
  nlohmann::ordered_json json() const;

 private:
  nlohmann::ordered_json figures_ = nlohmann::ordered_json::object();  // means are stored as sums
  std::uint64_t groups_ = 0;
};

/// "relative error 0.0098, worst group 0.01".
std::string loss_words(const nlohmann::ordered_json& loss);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_LOSS_SUMMARY_H_
