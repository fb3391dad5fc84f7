// What shards say about the error that their codec made (FORMAT.md, "loss"), summed up over a track.
#ifndef VITRINE_TOOLS_INSPECT_LOSS_SUMMARY_H_
#define VITRINE_TOOLS_INSPECT_LOSS_SUMMARY_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace vitrine {

/// Figures of shards: those whose name begins with "worst" become the largest, other numbers the mean over groups,
/// words stay as the first shard has them.
class LossSummary {
 public:
  void add(const nlohmann::ordered_json& loss, std::uint64_t groups);
  /// One object; empty when nothing was added.
  nlohmann::ordered_json json() const;

 private:
  nlohmann::ordered_json figures_ = nlohmann::ordered_json::object();  // sums, where they are means
  std::uint64_t groups_ = 0;
};

/// "relative error 0.0098, worst group 0.01".
std::string loss_words(const nlohmann::ordered_json& loss);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_LOSS_SUMMARY_H_
