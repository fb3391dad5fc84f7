// Students to choose from, and the table of what they cost.
#ifndef VITRINE_TOOLS_COMMANDS_CHOOSE_CANDIDATE_H_
#define VITRINE_TOOLS_COMMANDS_CHOOSE_CANDIDATE_H_

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace vitrine {

struct Candidate {
  std::uint32_t depth = 18;  ///< a ResNet's
  std::uint32_t width = 64;  ///< ModelOptions::width
  std::uint32_t size = 224;  ///< side of its input, in pixels

  std::string arch() const;  ///< "resnet18"
  std::string name() const;  ///< "resnet18-224", with another width than 64 "resnet18-w32-224"
  auto operator<=>(const Candidate&) const = default;
};

struct CandidateCost {
  Candidate candidate;
  double latency = 0;  ///< seconds for one picture, the median
  std::uint64_t multiply_adds = 0, parameters = 0;
};

/// What a table's latencies are of; with an empty device unknown, as of a table that does not say it.
struct MeasuredOn {
  std::string device;   ///< the processor's name
  std::string runtime;  ///< "vitrine", "onnxruntime"
  std::uint32_t threads = 0;
  std::string precision;  ///< "fp32"

  std::string describe() const;  ///< "vitrine, fp32, 2 threads of NAME", or that it is unknown
  bool operator==(const MeasuredOn&) const = default;
};

struct CostTable {
  MeasuredOn on;
  std::vector<CandidateCost> costs;
};

/// Sides of a student's input to choose from, for a training at `side` pixels: that and, where they are smaller, 4/7
/// and 5/7 of it as multiples of 32. Ascending: 128, 160, 224 for 224.
std::vector<std::uint32_t> usual_sizes(std::uint32_t side);

/// All combinations, in the order of the lists.
std::vector<Candidate> candidates_of(const std::vector<std::uint32_t>& depths, const std::vector<std::uint32_t>& widths,
                                     const std::vector<std::uint32_t>& sizes);

/// CSV with the header "arch,width,size,latency_ms,multiply_adds,parameters,device,runtime,threads,precision".
std::string cost_csv(const CostTable& table);
/// Reads it; a table may end each line after the parameters. Throws Error that begins with `where` and names the line,
/// for anything else, for a candidate that occurs twice, and for one measured on something else than the first.
CostTable parse_cost_csv(const std::string& csv, const std::string& where);

/// "5ms", "0.2s" or "5" (milliseconds), as seconds. Throws Error that names `option`.
double parse_duration(const std::string& words, const std::string& option);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CHOOSE_CANDIDATE_H_
