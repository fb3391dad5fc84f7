// The output of `vitrine bench inference`.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_TABLE_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_TABLE_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/commands/bench/inference/contest.h"

namespace vitrine::bench {

/// A network with all figures of it.
struct Measured {
  Subject subject;
  std::vector<Figures> figures;  ///< of the runtimes
  std::vector<Figures> steps;    ///< of the preparations in order, each precision after the other; may be empty
};

/// Networks, runtimes and precisions with their cost, one per line.
std::string cost_table(const std::vector<Measured>& all);
/// Own figures against each peer's of the same precision, with the ratio and, on a CPU, the bar; as print_report()
/// prints them.
void print_ratios(const Measured& measured, const ContestOptions& options);
/// What each preparation brings over the one before.
void print_steps(const Measured& measured);

nlohmann::ordered_json inference_json(const std::vector<Measured>& all, const ContestOptions& options);

}  // namespace vitrine::bench

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_TABLE_H_
